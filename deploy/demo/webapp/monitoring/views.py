"""The monitoring API: network nodes, the state of a CPE, graphs and their data."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Count, Max, Q
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework import permissions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ..isp.models import Cpe, Operation
from .readings import GRAPHS, METRICS, distance, sample, started

MAX_POINTS = 5000


class MayMonitor(permissions.IsAuthenticated):
    """Whoever may see CPEs may see what they measure."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return bool(super().has_permission(request, view) and request.user.has_perm("isp.view_cpe"))


class MonitoringView(APIView):
    """What the views below share."""

    permission_classes = (MayMonitor,)


class SearchView(MonitoringView):
    """`?q=`: nodes and CPEs by name, serial number, MAC or external id; 20 of each at most."""

    def get(self, request: Request) -> Response:
        """Find them."""
        q = request.query_params.get("q", "").strip()
        if len(q) < 2:
            raise serializers.ValidationError({"q": "At least 2 characters."})
        by = Q(cpename__icontains=q) | Q(sn__icontains=q) | Q(mac__icontains=q) | Q(external_id__icontains=q)
        cpes = Cpe.objects.filter(by).values("id", "cpename", "realm", "active", "access")[:20]
        nodes = sorted({cpe.node for cpe in Cpe.objects.filter(access__icontains=q).only("access")})
        return Response({"hosts": [node for node in nodes if q.lower() in node.lower()][:20], "cpes": list(cpes)})


class HostView(MonitoringView):
    """A network node by its name, such as `olt-pim-1`."""

    def get(self, request: Request, host: str) -> Response:
        """Its devices and what they receive."""
        cpes = Cpe.objects.filter(access__startswith=f"{host} ")
        counts = cpes.aggregate(cpes=Count("id"), active=Count("id", filter=Q(active=True)), tech=Max("tech"))
        if not counts["cpes"]:
            raise Http404
        now = timezone.now()
        power = {cpe: sample(cpe, "rx_power", now) for cpe in cpes.filter(active=True).values_list("id", flat=True)}
        return Response(
            {
                "id": host,
                "time": timezone.localtime(now),
                **counts,
                "rx_power": round(sum(power.values()) / len(power), 2) if power else None,
                "weak": sorted(cpe for cpe, received in power.items() if received < -24.5),
            }
        )


class CpeInfoView(MonitoringView):
    """The state of one CPE."""

    def get(self, request: Request, pk: str) -> Response:
        """Its state now; one that is not active measures nothing."""
        cpe = get_object_or_404(Cpe, pk=pk)
        now = timezone.now()
        info: dict[str, Any] = {
            "id": cpe.pk,
            "cpename": cpe.cpename,
            "host": cpe.node,
            "access": cpe.access,
            "state": "online" if cpe.active else "offline",
            "time": timezone.localtime(now),
        }
        if cpe.active:
            told = Operation.objects.filter(cpe=cpe, action__in=("reboot", "factory", "reprovision"))
            last = max(told.aggregate(last=Max("done"))["last"] or started(cpe.pk, now), started(cpe.pk, now))
            info |= {"uptime": int((now - last).total_seconds()), "distance": distance(cpe.pk)}
            info |= {metric: sample(cpe.pk, metric, now) for metric in METRICS}
        return Response(info)


class GraphsView(MonitoringView):
    """The graphs there are."""

    def get(self, request: Request) -> Response:
        """Each with its metrics, their titles and units."""
        return Response(
            [
                {
                    "id": graph,
                    "title": title,
                    "metrics": [
                        {"id": metric, "title": METRICS[metric].title, "unit": METRICS[metric].unit}
                        for metric in metrics
                    ],
                }
                for graph, (title, metrics) in GRAPHS.items()
            ]
        )


class DatasetRequest(serializers.Serializer):
    """Which graph of which CPEs from when to when, with a point every `step` seconds."""

    graph = serializers.ChoiceField(choices=sorted(GRAPHS))
    cpes = serializers.PrimaryKeyRelatedField(queryset=Cpe.objects.only("id", "cpename"), many=True, allow_empty=False)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    step = serializers.IntegerField(min_value=60, max_value=86_400, default=300)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        until = attrs.setdefault("until", timezone.now())
        since = attrs.setdefault("since", until - dt.timedelta(hours=1))
        if since >= until:
            raise serializers.ValidationError({"since": "Must be before `until`."})
        points = (until - since).total_seconds() / attrs["step"] * len(attrs["cpes"]) * len(GRAPHS[attrs["graph"]][1])
        if points > MAX_POINTS:
            raise serializers.ValidationError({"step": f"{points:.0f} points are more than {MAX_POINTS}."})
        return attrs


class DatasetsView(MonitoringView):
    """The data behind a graph."""

    def post(self, request: Request) -> Response:
        """A series of `[time, value]` for each CPE and metric."""
        wanted = DatasetRequest(data=request.data)
        wanted.is_valid(raise_exception=True)
        data = wanted.validated_data
        step = dt.timedelta(seconds=data["step"])
        count = int((data["until"] - data["since"]) / step) + 1
        times = [timezone.localtime(data["since"] + step * index) for index in range(count)]
        return Response(
            {
                "graph": data["graph"],
                "step": data["step"],
                "series": [
                    {
                        "cpe": cpe.pk,
                        "cpename": cpe.cpename,
                        "metric": metric,
                        "unit": METRICS[metric].unit,
                        "points": [[at.isoformat(), sample(cpe.pk, metric, at)] for at in times],
                    }
                    for cpe in data["cpes"]
                    for metric in GRAPHS[data["graph"]][1]
                ],
            }
        )
