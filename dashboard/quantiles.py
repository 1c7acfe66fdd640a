"""Percentiles of response times, as SQL: of times that are known to 1 %.

A time counts as the power of 1.0202 below it, as in a DDSketch (Masson, Rim, Lee: DDSketch, VLDB 2019). Such small
numbers are counted exactly by ClickHouse's `quantilesTiming`, with a twentieth of the work of `quantilesDD` where a
group has few requests.
"""

from __future__ import annotations

__all__ = ["NAMES", "OF_REQUESTS", "STATE", "of_states"]

NAMES = ("p50", "p95", "p99")
# `quantilesTiming` takes the value behind that of exactly so many requests, and of a little less the last of these.
_LEVELS = "0.49999999, 0.94999999, 0.98999999"
# Logarithm of 1.01 / 0.99. The first power is that of 0.01 ms; shorter times are none.
_STEP, _FIRST = 0.020000666706669435, 232
# As in the projections; what `log` makes of zero would fail. The last powers, of more than two hours, are not exact.
_POWER = f"toUInt16(least(greatest(floor(log(greatest(response_ms, 0.005)) / {_STEP}) + {_FIRST}, 0), 29999))"


def _milliseconds(powers: str) -> str:
    return f"arrayMap(power -> if(power = 0, 0, 1.01 * exp((power - {_FIRST}) * {_STEP})), {powers})"


#: The state of requests' response times that projections of `api_requests` have.
STATE = f"quantilesTimingState({_LEVELS})({_POWER})"
#: Percentiles (`NAMES`) of requests in ms, NaN of none.
OF_REQUESTS = _milliseconds(f"quantilesTiming({_LEVELS})({_POWER})")


def of_states(test: str = "1") -> str:
    """Percentiles of the requests in the columns `state` (see `STATE`) of rows for which `test` holds."""
    return _milliseconds(f"quantilesTimingMergeIf({_LEVELS})(state, {test})")
