"""What all of Krill's API has in common: paths, `?attrs=`, `?joins=`, permissions, transactions."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction
from rest_framework import permissions, routers, serializers, viewsets
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request


class Router(routers.SimpleRouter):
    """Krill takes every path with or without its last slash."""

    include_format_suffixes = False

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"


def names(request: Request, parameter: str, known: set[str]) -> list[str]:
    """The comma-separated names in a query parameter.

    Raises:
        ValidationError: one of them is not among `known`.
    """
    given = [name.strip() for name in request.query_params.get(parameter, "").split(",") if name.strip()]
    if unknown := sorted(set(given) - known):
        raise ValidationError({parameter: f"Unknown: {', '.join(unknown)}. Known: {', '.join(sorted(known))}."})
    return given


class Serializer(serializers.ModelSerializer):
    """A model serializer that shows the attributes asked for and what is joined in full."""

    #: Relation -> the serializer of what is joined.
    joins: ClassVar[dict[str, type[serializers.ModelSerializer]]] = {}

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(instance)
        for relation in self.context.get("joins", ()):
            joined = getattr(instance, relation)
            many = hasattr(joined, "all")
            serializer = self.joins[relation]
            shown[relation] = None if joined is None else serializer(joined.all() if many else joined, many=many).data
        attrs = self.context.get("attrs")
        return {name: shown[name] for name in attrs if name in shown} if attrs else shown


class ModelPermissions(permissions.DjangoModelPermissions):
    """Django's permissions per model, needed for reading as well."""

    perms_map: ClassVar[dict[str, list[str]]] = {
        **permissions.DjangoModelPermissions.perms_map,
        "GET": ["%(app_label)s.view_%(model_name)s"],
        "HEAD": ["%(app_label)s.view_%(model_name)s"],
    }


class ChangePermissions(ModelPermissions):
    """The permission to change the model, whatever the method: what an operation on an object needs."""

    perms_map: ClassVar[dict[str, list[str]]] = {
        method: ["%(app_label)s.change_%(model_name)s"] for method in ModelPermissions.perms_map
    }


class ModelViewSet(viewsets.ModelViewSet):
    """A model behind the API; each write is one transaction."""

    permission_classes = (ModelPermissions,)

    def get_serializer_context(self) -> dict[str, Any]:
        context: dict[str, Any] = super().get_serializer_context()
        serializer = self.get_serializer_class()
        joins = names(self.request, "joins", set(getattr(serializer, "joins", ())))
        attrs = names(self.request, "attrs", {*serializer.Meta.fields, *joins})
        return {**context, "joins": joins, "attrs": attrs}

    def get_queryset(self) -> Any:
        queryset = super().get_queryset()
        return queryset.prefetch_related(*self.get_serializer_context()["joins"])

    def perform_create(self, serializer: Any) -> None:
        with transaction.atomic():
            super().perform_create(serializer)

    def perform_update(self, serializer: Any) -> None:
        with transaction.atomic():
            super().perform_update(serializer)

    def perform_destroy(self, instance: Any) -> None:
        with transaction.atomic():
            super().perform_destroy(instance)
