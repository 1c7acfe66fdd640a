"""Krill's users, and who asks."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import transaction
from rest_framework import generics, serializers

from ..api import ModelViewSet, Serializer


class UserSerializer(Serializer):
    """A user. The API makes nobody staff or superuser; that takes the admin panel."""

    password = serializers.CharField(write_only=True, required=False, max_length=128)

    class Meta:
        model = User
        fields = (
            "id",
            "username",
            "password",
            "first_name",
            "last_name",
            "email",
            "is_active",
            "is_staff",
            "is_superuser",
            "groups",
            "date_joined",
            "last_login",
        )
        read_only_fields: tuple[str, ...] = (
            "is_staff",
            "is_superuser",
            "groups",
            "date_joined",
            "last_login",
        )

    def save(self, **kwargs: Any) -> Any:
        password = self.validated_data.pop("password", None)
        if password or self.instance is None:
            kwargs["password"] = make_password(password)
        return super().save(**kwargs)


class MeSerializer(UserSerializer):
    """The user who asks; names, e-mail and password are theirs to change."""

    class Meta(UserSerializer.Meta):
        read_only_fields = (*UserSerializer.Meta.read_only_fields, "username", "is_active")


class UserViewSet(ModelViewSet):
    """Users of Krill."""

    queryset = User.objects.order_by("id").prefetch_related("groups")
    serializer_class = UserSerializer
    filterset_fields = ("username", "is_active", "is_staff", "is_superuser", "groups")
    search_fields = ("username", "first_name", "last_name", "email")


class MeView(generics.RetrieveUpdateAPIView):
    """The user who asks."""

    serializer_class = MeSerializer

    def get_object(self) -> Any:
        return self.request.user

    def perform_update(self, serializer: Any) -> None:
        with transaction.atomic():
            super().perform_update(serializer)
