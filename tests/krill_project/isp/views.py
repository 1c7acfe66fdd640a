"""Views of every kind; `tracked` builds the same ones on a given logging mixin."""

from __future__ import annotations

from decimal import Decimal

from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.utils.translation import gettext_lazy
from rest_framework import serializers, viewsets
from rest_framework.authentication import BasicAuthentication, SessionAuthentication, TokenAuthentication
from rest_framework.decorators import action, api_view
from rest_framework.exceptions import NotFound
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from producers.django.mixins import LoggingErrorsMixin, LoggingMixin
from tests.krill_project.isp.models import Cpe


class CpeSerializer(serializers.ModelSerializer):
    class Meta:
        model = Cpe
        fields = ("id", "cpename", "postalcode", "wifi_password")


class CpeViewSet(viewsets.ModelViewSet):
    queryset = Cpe.objects.order_by("cpename")
    serializer_class = CpeSerializer
    permission_classes = (IsAuthenticated,)

    @action(detail=True, methods=["post"])
    def reboot(self, request, pk=None):
        return Response({"rebooting": pk})


def behave(request, kind):
    """What a view does, by the name in its path."""
    if kind == "crash":
        raise RuntimeError("it broke with wifi_password=hunter2secret")
    if kind == "missing":
        raise NotFound
    if kind == "stream":
        return StreamingHttpResponse(iter([b"a" * 10, b"b" * 10]), content_type="text/plain")
    if kind == "file":
        return FileResponse(iter([b"\x89PNG"]), content_type="image/png")
    if kind == "binary":
        return HttpResponse(b"\x89PNG\x00\x01", content_type="image/png")
    if kind == "plain":
        return HttpResponse("hello", content_type="text/plain")
    if kind == "odd":
        return Response({"lazy": gettext_lazy("hello"), "money": Decimal("1.50"), "set": {1}})
    if kind == "big":
        return Response({"big": "x" * 200_000})
    if kind == "secret":
        return Response({"token": "abc123", "wifi_password": "hunter2secret", "cpename": "pim0585"})
    if kind == "unread":
        return Response({"ok": True})
    return Response({"kind": kind, "data": str(request.data)[:100]})


class Views(APIView):
    # OAuth's reads the body, which some tests want unread.
    authentication_classes = (SessionAuthentication, BasicAuthentication, TokenAuthentication)
    permission_classes = ()

    def get(self, request, kind):
        return behave(request, kind)

    def post(self, request, kind):
        return behave(request, kind)


def tracked(mixin, name):
    """An APIView on `mixin`, named `name`."""

    class View(mixin, Views):
        parser_classes = (JSONParser, FormParser, MultiPartParser)
        sensitive_fields = frozenset({"favourite_colour"})

    View.__name__ = View.__qualname__ = name
    return View


def tracked_set(mixin, name):
    """A viewset on `mixin`, named `name`."""

    class ViewSet(mixin, CpeViewSet):
        permission_classes = ()

    ViewSet.__name__ = ViewSet.__qualname__ = name
    return ViewSet


MixedIn = tracked(LoggingMixin, "MixedIn")
MixedInSet = tracked_set(LoggingMixin, "MixedInSet")
ErrorsOnly = tracked(LoggingErrorsMixin, "ErrorsOnly")


@api_view(["GET"])
def function_view(request):
    return Response({"ok": True})


def django_view(request):
    return JsonResponse({"got": len(request.read())})


def edit(request, pk):
    """A change made by a plain view."""
    cpe = Cpe.objects.get(pk=pk)
    cpe.postalcode = request.GET["postalcode"]
    cpe.save()
    return JsonResponse({"ok": True})
