"""What a device would measure: the same numbers for the same device at the same time, from no device at all.

A level of the device's own, a daily curve, and a little noise per minute.
"""

from __future__ import annotations

import datetime as dt
import math
import zlib
from dataclasses import dataclass

DAY = 86_400


@dataclass(frozen=True)
class Metric:
    """How a measured quantity behaves."""

    title: str
    unit: str
    level: float
    spread: float
    daily: float
    noise: float


METRICS = {
    "rx_power": Metric("Received power", "dBm", -20.5, 4.5, 0.3, 0.15),
    "tx_power": Metric("Transmitted power", "dBm", 2.2, 0.6, 0.05, 0.05),
    "temperature": Metric("Temperature", "°C", 44, 6, 5, 0.6),
    "traffic_in": Metric("Traffic to the customer", "Mbit/s", 30, 22, 18, 6),
    "traffic_out": Metric("Traffic from the customer", "Mbit/s", 4, 2.5, 2, 0.8),
}

GRAPHS = {
    "optical": ("Optical levels", ("rx_power", "tx_power")),
    "temperature": ("Temperature", ("temperature",)),
    "traffic": ("Traffic", ("traffic_in", "traffic_out")),
}


def _between(*seed: object) -> float:
    """A number from -1 to 1 that belongs to the seed."""
    return zlib.crc32(repr(seed).encode()) / 2**31 - 1


def sample(cpe: int, metric: str, at: dt.datetime) -> float:
    """What the CPE with this id measured at that time, in the metric's unit."""
    quantity = METRICS[metric]
    seconds = at.timestamp()
    # Warmest, and busiest, at nine in the evening UTC.
    curve = math.cos((seconds % DAY / DAY - 21 / 24) * 2 * math.pi)
    value = (
        quantity.level
        + quantity.spread * _between(cpe, metric)
        + quantity.daily * curve
        + quantity.noise * _between(cpe, metric, int(seconds // 60))
    )
    return round(max(0.0, value) if metric.startswith("traffic") else value, 2)


def distance(cpe: int) -> int:
    """Metres of cable between the CPE and its node."""
    return round(2600 + 2400 * _between(cpe, "distance"))


def started(cpe: int, at: dt.datetime) -> dt.datetime:
    """When the CPE last started by itself: a power cut every two weeks or so."""
    period = round((14 + 6 * _between(cpe, "period")) * DAY)
    return at - dt.timedelta(seconds=(at.timestamp() + zlib.crc32(str(cpe).encode())) % period)
