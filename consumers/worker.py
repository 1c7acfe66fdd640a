"""The worker: a Faust app frames the batch loop, the agent that stores batches, and the status timer."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import logging
import os
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import faust
import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError
from faust.app.base import BootStrategy
from prometheus_client import start_http_server

from consumers import metrics
from consumers.batch import Batch, Converted
from consumers.flood import Flood
from consumers.loop import Loop
from consumers.membership import STORING
from consumers.ranges import Overtaken
from consumers.storage import Stopped, Storage
from schemas.settings import Settings

log = logging.getLogger(__name__)

STATUS_SECONDS = 2.0
STATUS_COLUMNS = [
    "topic", "partition", "committed_offset", "end_offset", "lag", "state",
    "worker", "kafka_error", "last_event_at", "updated_at",
]  # fmt: skip


class BatchLoop(faust.Service):
    """Feeds whole batches from the confluent-kafka loop to the agent.

    Faust's own streams acknowledge a batch that raised, so offsets are the loop's (`consumers.loop`).
    """

    def __init__(
        self, settings: Settings, storage: Storage, pool: ThreadPoolExecutor, channel: Any, **options: Any
    ) -> None:
        super().__init__(**options)
        self._storage = storage
        self._pool = pool
        self._channel = channel
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self.batches = Loop(settings, self._submit, self._ask, lambda: storage.floods.stopped)

    def _submit(self, batch: Batch) -> Future[Converted]:
        stored: Future[Converted] = Future()
        assert self._event_loop is not None
        asyncio.run_coroutine_threadsafe(self._channel.put((batch, stored)), self._event_loop)
        return stored

    def _ask(self, topic: str, topic_id: str, partition: int, start: int) -> Future[int | None]:
        return self._pool.submit(self._storage.edge, topic, topic_id, partition, start)

    async def on_start(self) -> None:
        """Start the loop's thread."""
        self._event_loop = asyncio.get_running_loop()
        await self._event_loop.run_in_executor(None, self._storage.floods.refresh)
        self.batches.start()

    async def on_stop(self) -> None:
        """Finish the batches in hand; a ClickHouse that does not answer is not waited for."""
        loop = asyncio.get_running_loop()
        give_up = loop.call_later(10.0, self._storage.stop)
        await loop.run_in_executor(None, self.batches.stop)
        give_up.cancel()

    @faust.Service.task
    async def _report(self) -> None:
        while not self.should_stop:
            if self.batches.failure is not None:
                await self.crash(self.batches.failure)
                return
            await asyncio.get_running_loop().run_in_executor(None, self._tell)
            await self.sleep(STATUS_SECONDS)

    def _tell(self) -> None:
        partitions, kafka_error = self.batches.snapshot()
        # Before the status: a stop that is shown but not written down yet would undo a `resume` given in between.
        self._storage.floods.refresh()
        self._write_status(partitions, kafka_error)

    def _write_status(self, partitions: list[dict[str, Any]], kafka_error: str) -> None:
        now = dt.datetime.now(dt.UTC)
        rows = []
        metrics.LAG.clear()
        metrics.PAUSED.clear()
        for one in partitions:
            place = (one["topic"], str(one["partition"]))
            metrics.LAG.labels(*place).set(one["lag"])
            metrics.PAUSED.labels(*place).set(one["state"] != "running")
            last = dt.datetime.fromtimestamp(one.pop("last_event_ms") / 1000, dt.UTC)
            rows.append([*one.values(), self._worker, kafka_error, last, now])
        if not rows:
            return
        try:
            self._storage.database.insert_rows("pipeline_status", rows, STATUS_COLUMNS)
        except (ClickHouseError, OSError) as error:
            log.warning("status not written: %s", str(error).splitlines()[0][:200])


class OwnKafka(BootStrategy):
    """Starts agents, services and web without Faust's own consumer and producer.

    Kafka is the batch loop's alone. Faust's consumer would clear the agents' channels at each rebalance of its group.
    """

    enable_kafka = False

    def tables(self) -> list[Any]:
        """No tables, and so no changelog topics to recover from."""
        return []


class App(faust.App):
    """A Faust app whose streams come from channels only."""

    BootStrategy = OwnKafka

    async def on_started(self) -> None:
        """Let the channels flow; a consumer's first assignment would do it otherwise."""
        self.flow_control.resume()
        await self.on_started_init_extra_tasks()
        await self.on_started_init_extra_services()
        if self.on_startup_finished:
            await self.on_startup_finished()


def make_app(settings: Settings) -> App:
    """The Faust app: the service above and the agent that stores what it sends."""
    app = App(
        f"{settings.group}-worker",
        store="memory://",
        datadir=str(settings.data / "worker"),
        web_enabled=False,
    )
    storage = Storage(settings)
    channel = app.channel(maxsize=2 * STORING)
    pool = ThreadPoolExecutor(STORING, thread_name_prefix="store")

    @app.agent(channel, concurrency=STORING)
    async def store(batches: Any) -> None:
        async for batch, stored in batches:
            try:
                converted = await asyncio.get_running_loop().run_in_executor(pool, storage.store, batch)
            except (Stopped, Flood, Overtaken) as given_up:
                stored.set_exception(given_up)
            except Exception as error:
                log.exception("storing %s failed", batch)
                stored.set_exception(error)
            else:
                stored.set_result(converted)

    @app.service
    class Feed(BatchLoop):
        """The batch loop; a service added last is stopped first, while the agent still stores."""

        def __init__(self, **options: Any) -> None:  # Faust makes its services itself
            super().__init__(settings, storage, pool, channel, **options)

    return app


def run(settings: Settings) -> int:
    """Run the worker until SIGTERM or SIGINT; the batch in hand is finished first.

    Returns:
        The exit code.
    """
    for library in ("faust", "mode", "aiokafka", "urllib3", "clickhouse_connect"):
        logging.getLogger(library).setLevel(logging.ERROR)
    settings.data.mkdir(parents=True, exist_ok=True)
    start_http_server(settings.worker_port, settings.worker_host, metrics.REGISTRY)
    # A message and its columns are hundreds of objects without a cycle; looking for some took a fifth of the time.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own keeps a fifth of the worker's memory for later
    worker = faust.Worker(make_app(settings), loglevel="INFO", redirect_stdouts=False)
    try:
        worker.execute_from_commandline()
    except SystemExit as stop:
        return int(stop.code or 0)
