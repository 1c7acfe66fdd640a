"""How the API's lists are paged; a module of its own, since DRF loads it while it is itself imported."""

from __future__ import annotations

from rest_framework.pagination import LimitOffsetPagination


class Pagination(LimitOffsetPagination):
    """`?offset=&limit=`, answered with `{count, next, previous, results}`."""

    default_limit = 20
    max_limit = 1000
