"""The catalogue of faults. Each is a function that breaks something once and returns whether it found its place.

What a fault leaves behind (a worker that is frozen or dead, a message that is held) may last into the next ones.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from random import Random

from confluent_kafka.admin import AdminClient

from consumers import kafka
from schemas import topics
from tests.faults.checker import is_stored
from tests.faults.cluster import PLACING_SECONDS, Cluster, Worker
from tests.faults.load import Load
from tests.faults.proxy import Trap, Verdict, is_commit, is_insert, place_of

#: Seconds after which a worker that says nothing has lost its partitions for sure (its session lasts 8).
PAST_SESSION = 9.5

#: An answer of a gateway, and one of ClickHouse itself, to an insert that succeeded.
TIMEOUTS = (
    b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 500 Internal Server Error\r\nX-ClickHouse-Exception-Code: 159\r\nContent-Length: 65\r\n\r\n"
    b"Code: 159. DB::Exception: Timeout exceeded. (TIMEOUT_EXCEEDED)  \n",
)


@dataclass
class Scene:
    """What a fault works on; `random` gives the same numbers for the same seed and place in the schedule."""

    cluster: Cluster
    load: Load
    random: Random

    def worker(self) -> Worker | None:
        """One that runs, while another one does too."""
        awake = self.cluster.awake()
        if len(awake) < 2:
            self.cluster.until(lambda: len(self.cluster.awake()) > 1, PAST_SESSION)
            awake = self.cluster.awake()
        return self.random.choice(awake) if awake else None

    def some(self, low: float, high: float) -> float:
        """Seconds."""
        return self.random.uniform(low, high)


Run = Callable[[Scene], bool]
CATALOGUE: dict[str, Run] = {}


def fault(name: str) -> Callable[[Run], Run]:
    """Puts a function into the catalogue."""

    def put(run: Run) -> Run:
        CATALOGUE[name] = run
        return run

    return put


@fault("worker killed")
def worker_killed(scene: Scene) -> bool:
    """SIGKILL."""
    if worker := scene.worker():
        scene.cluster.kill_worker(worker, scene.some(0, 10))
    return worker is not None


@fault("worker frozen past its session")
def worker_frozen(scene: Scene) -> bool:
    """SIGSTOP; it wakes when others own its partitions."""
    if worker := scene.worker():
        scene.cluster.freeze_worker(worker, PAST_SESSION + scene.some(0, 3))
    return worker is not None


@fault("worker killed between commit and insert")
def killed_between_commit_and_insert(scene: Scene) -> bool:
    """The insert has left the worker. It never arrives, or it arrives when another worker has taken over."""
    trap = Trap("request", is_insert)
    worker = scene.cluster.trap_insert(trap)
    if worker:
        scene.cluster.kill_worker(worker, scene.some(0, 5))
    late = scene.some(1, 14)
    if scene.random.random() < 0.5:
        scene.cluster.later(late, trap.let_go)
    else:
        trap.let_go("cut")
    return worker is not None


@fault("worker frozen between commit and insert")
def frozen_between_commit_and_insert(scene: Scene) -> bool:
    """It wakes when another worker has stored the range, and its insert arrives before that or after."""
    trap = Trap("request", is_insert)
    worker = scene.cluster.trap_insert(trap)
    asleep = PAST_SESSION + scene.some(0, 3)
    if worker:
        scene.cluster.freeze_worker(worker, asleep)
    scene.cluster.later(asleep + scene.some(-3, 1), trap.let_go)
    return worker is not None


@fault("worker killed between insert and commit")
def killed_between_insert_and_commit(scene: Scene) -> bool:
    """The rows are stored; the worker does not hear of it."""
    trap = Trap("response", is_insert)
    worker = scene.cluster.trap_insert(trap)
    if worker:
        scene.cluster.kill_worker(worker, scene.some(0, 5))
    trap.let_go("cut")
    return worker is not None


@fault("worker frozen between insert and commit")
def frozen_between_insert_and_commit(scene: Scene) -> bool:
    """The rows are stored; the worker hears of it when its partitions are others'."""
    trap = Trap("response", is_insert)
    worker = scene.cluster.trap_insert(trap)
    asleep = PAST_SESSION + scene.some(0, 3)
    if worker:
        scene.cluster.freeze_worker(worker, asleep)
    scene.cluster.later(asleep, trap.let_go)
    return worker is not None


@fault("ClickHouse killed in an insert")
def clickhouse_killed(scene: Scene) -> bool:
    """SIGKILL within the milliseconds that an insert takes."""
    trap = Trap("request", is_insert)
    worker = scene.cluster.trap_insert(trap)
    trap.let_go()
    time.sleep(scene.some(0, 0.04))
    scene.cluster.clickhouse.kill()
    scene.cluster.sleep(scene.some(0, 2))
    scene.cluster.restart_clickhouse()
    return worker is not None


@fault("ClickHouse killed as it writes a token")
def clickhouse_killed_at_token(scene: Scene) -> bool:
    """SIGKILL when the deduplication log has grown, and the part may not be there yet."""
    logs = scene.cluster.deduplication_logs()
    sizes = [log.stat().st_size for log in logs]
    deadline = time.monotonic() + PLACING_SECONDS
    grown = False
    while not grown and time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):  # rotated
            grown = [log.stat().st_size for log in logs] != sizes
    scene.cluster.restart_clickhouse()
    return grown


@fault("broker killed")
def broker_killed(scene: Scene) -> bool:
    """SIGKILL."""
    scene.cluster.restart_kafka(scene.some(0, 2))
    return True


@fault("connections cut")
def connections_cut(scene: Scene) -> bool:
    """All to Kafka, or all of one worker to ClickHouse, or both, a few times."""
    which = scene.random.randrange(1, 4)
    for _ in range(scene.random.randrange(1, 4)):
        if which & 1:
            scene.cluster.kafka_proxy.cut()
        if which & 2 and (worker := scene.worker()):
            worker.proxy.cut()
        scene.cluster.sleep(scene.some(0, 0.5))
    return True


@fault("connections slow")
def connections_slow(scene: Scene) -> bool:
    """Each message to and from all servers takes longer."""
    proxies = [scene.cluster.kafka_proxy, *(worker.proxy for worker in scene.cluster.workers)]
    for proxy in proxies:
        proxy.delay = scene.some(0, 0.4)
    scene.cluster.sleep(scene.some(1, 4))
    for proxy in proxies:
        proxy.delay = 0.0
    return True


@fault("Kafka out of reach past the session")
def kafka_out_of_reach(scene: Scene) -> bool:
    """What one worker says to Kafka, and Kafka to it, is held, and arrives when others own its partitions."""
    worker, proxy = scene.worker(), scene.cluster.kafka_proxy
    if worker is None:
        return False
    ports = worker.kafka_ports()
    proxy.held |= ports

    def let_go() -> None:
        proxy.held -= ports

    scene.cluster.later(PAST_SESSION + scene.some(0, 3), let_go)
    return True


@fault("commit arrives late")
def commit_arrives_late(scene: Scene) -> bool:
    """The worker loses its connection in a commit and repeats it; the first one arrives behind later ones."""
    trap = Trap("request", is_commit)
    scene.cluster.kafka_proxy.set(trap)
    caught = scene.cluster.until(trap.caught.is_set, PLACING_SECONDS)
    scene.cluster.kafka_proxy.unset(trap)
    if caught and trap.connection:
        trap.connection.cut_client()
    scene.cluster.later(scene.some(0.2, 8), trap.let_go)
    return caught


@fault("commit succeeds unheard")
def commit_succeeds_unheard(scene: Scene) -> bool:
    """The connection ends before the answer to a commit."""
    trap = Trap("request", is_commit)
    scene.cluster.kafka_proxy.set(trap)
    caught = scene.cluster.until(trap.caught.is_set, PLACING_SECONDS)
    scene.cluster.kafka_proxy.unset(trap)
    if caught and trap.connection:
        trap.connection.deaf = True
        trap.let_go()
        scene.cluster.sleep(0.2)
        trap.connection.cut()
    return caught


@fault("insert times out after it succeeded")
def insert_succeeds_unheard(scene: Scene) -> bool:
    """The connection ends before the answer, or the answer is that it took too long; up to three times in a row."""
    placed = False
    for _ in range(scene.random.randrange(1, 4)):
        trap = Trap("response", is_insert)
        answer: Verdict = scene.random.choice(("cut", *TIMEOUTS))
        placed = scene.cluster.trap_insert(trap) is not None or placed
        trap.let_go(answer)
    return placed


@fault("insert arrives late")
def insert_arrives_late(scene: Scene) -> bool:
    """The worker loses its connection in an insert and repeats it; the first one arrives behind later ones."""
    trap = Trap("request", is_insert)
    placed = scene.cluster.trap_insert(trap) is not None
    if trap.connection:
        trap.connection.cut_client()
    scene.cluster.later(scene.some(0.2, 8), trap.let_go)
    return placed


@fault("commit and insert arrive late")
def commit_and_insert_arrive_late(scene: Scene) -> bool:
    """A commit that was repeated arrives behind later ones; the worker dies, and its insert from there comes later yet.

    The next owner begins at the old commit, and its ranges have other ends than that insert, which comes at some time
    or together with the next owner's from the same place.
    """
    cluster = scene.cluster
    events = kafka.topic_ids(AdminClient(cluster.direct.kafka()), [topics.API_REQUESTS, topics.ADMIN_CHANGES]).values()
    commit = Trap("request", lambda request: is_commit(request) and place_of(request)[0] in events)
    cluster.kafka_proxy.set(commit)
    cluster.until(commit.caught.is_set, PLACING_SECONDS)
    cluster.kafka_proxy.unset(commit)
    if not commit.connection:
        return False
    commit.connection.cut_client()
    topic_id, partition, offset = place_of(commit.request)

    def is_behind(request: bytes) -> bool:
        *place, start = place_of(request)
        return is_insert(request) and place == [topic_id, partition] and start > offset

    insert = Trap("request", is_behind)
    worker = cluster.trap_insert(insert)

    def let_go_beside(request: bytes) -> bool:
        if place_of(request) == place_of(insert.request):
            insert.let_go()
        return False

    commit.let_go()
    late = scene.some(0, 6)
    if worker:
        cluster.sleep(0.5)  # the broker takes the commit
        cluster.kill_worker(worker, scene.some(0, 3))
        if scene.random.random() < 0.5:
            late = 2 * PAST_SESSION
            for one in cluster.workers:
                one.proxy.set(Trap("request", let_go_beside))
    cluster.later(PAST_SESSION + late, insert.let_go)
    return worker is not None


@fault("workers added and removed")
def workers_added_and_removed(scene: Scene) -> bool:
    """One is stopped in order and comes back; sometimes all, one after the other; or there is one more for a while."""
    cluster = scene.cluster
    how = scene.random.randrange(3)
    if how == 0:
        extra = cluster.add_worker()
        cluster.later(scene.some(3, 12), lambda: remove(extra))
        return True
    leaving = [worker for worker in cluster.awake() if worker.wanted]
    for worker in leaving if how == 1 else leaving[:1]:
        worker.wanted = False
        worker.signal(signal.SIGTERM)
        cluster.later(scene.some(1, 6), partial(cluster.start_worker, worker))
        cluster.sleep(scene.some(0, 1))
    return bool(leaving)


def remove(worker: Worker) -> None:
    """Stop a worker in order, for good."""
    worker.wanted = False
    worker.thaw()
    worker.signal(signal.SIGTERM)


def places(*names: str, partitions: int) -> frozenset[tuple[str, int]]:
    """All partitions of these topics."""
    return frozenset(product(names, range(partitions)))


def all_stored(scene: Scene, seconds: float) -> bool:
    """Wait until everything that Kafka acknowledged is stored; nothing is sent meanwhile."""
    scene.load.flush()
    client = scene.cluster.client()
    with contextlib.closing(client):
        return scene.cluster.until(lambda: is_stored(client, scene.load), seconds)


#: Faults that begin when everything is stored: made one after the other, so that it is waited for once.
AT_REST = ("topic made again", "idle partitions, small window")


@fault("topic made again")
def topic_made_again(scene: Scene) -> bool:
    """An event topic is deleted, when all of it is stored, and made again, while workers run or are away."""
    cluster, load = scene.cluster, scene.load
    name = scene.random.choice((topics.API_REQUESTS, topics.ADMIN_CHANGES))
    workers_away = scene.random.random() < 0.3
    load.rest(places(topics.API_REQUESTS, topics.ADMIN_CHANGES, partitions=cluster.direct.partitions))
    try:
        if not all_stored(scene, 40):
            return False
        if workers_away:
            for worker in cluster.awake():
                cluster.kill_worker(worker, scene.some(1, 4))
        cluster.remake_topic(name, scene.some(0, 1))
    finally:
        load.rest(frozenset())
    return True


WINDOW = "non_replicated_deduplication_window"


@fault("idle partitions, small window")
def idle_partitions(scene: Scene) -> bool:
    """One partition's inserts push the tokens of the idle ones out of the window; then the workers die."""
    cluster, load = scene.cluster, scene.load
    everything = places(topics.API_REQUESTS, topics.ADMIN_CHANGES, partitions=cluster.direct.partitions)
    busy = (topics.API_REQUESTS, scene.random.randrange(cluster.direct.partitions))
    with contextlib.closing(cluster.client()) as client:
        sql = (
            f"SELECT extract(create_table_query, '{WINDOW} = (\\\\d+)') FROM system.tables WHERE name = 'api_requests'"
        )
        usual = int(str(client.command(sql)))
        load.rest(everything)
        try:
            # The small window is for what is idle: nothing may be on its way.
            if not (all_stored(scene, 40) and cluster.until(lambda: not cluster.pending, 20)):
                return False
            cluster.sleep(1.5)
            client.command(f"ALTER TABLE api_requests MODIFY SETTING {WINDOW} = 4")
            load.rest(everything - {busy})
            cluster.sleep(scene.some(2, 3))
            load.rest(everything)
            cluster.sleep(2)
            for worker in cluster.awake()[:2]:
                cluster.kill_worker(worker, 0)
            cluster.sleep(1)
        finally:
            client.command(f"ALTER TABLE api_requests MODIFY SETTING {WINDOW} = {usual}")
            load.rest(frozenset())
    return True
