"""Batches on their way into ClickHouse."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from consumers import storage
from consumers.batch import Batch
from consumers.storage import Stopped, Storage
from schemas import topics
from schemas.settings import Settings


def test_batches_become_columns_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, most = [], []

    def convert(batch: Batch) -> None:
        at_once.append(batch)
        most.append(len(at_once))
        time.sleep(0.05)
        at_once.remove(batch)
        raise Stopped

    monkeypatch.setattr(storage, "convert", convert)
    store = Storage(Settings()).store
    with ThreadPoolExecutor(3) as threads:
        stored = [threads.submit(store, Batch(topics.API_REQUESTS, "", number, 0, 1, [])) for number in range(3)]
    assert [type(future.exception()) for future in stored] == [Stopped] * 3
    assert most == [1] * 3
