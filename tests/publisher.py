"""A process that publishes API events as its standard input says: `publish MARK COUNT [PER_SECOND]`, `wait COUNTER N`,
`counters`, `fork N MARK COUNT`. Started with the spool's folder, its limit in bytes, and `bootstrap.servers`.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from pathlib import Path

from producers import kafka
from schemas import topics


def publish(mark: str, amount: int, rate: float = 0) -> list[float]:
    """Publish, and return the seconds that each took."""
    times = []
    started = time.perf_counter()
    for number in range(amount):
        if rate:
            time.sleep(max(0, started + number / rate - time.perf_counter()))
        name = uuid.uuid4()
        value = json.dumps({"event_id": str(name), "mark": f"{mark}-{number}", "filling": "x" * 400}).encode()
        before = time.perf_counter()
        kafka.publish(value, topics.API_REQUESTS, f"user-{number % 7}", [("ce_id", str(name).encode())])
        times.append(time.perf_counter() - before)
    return times


def main() -> None:
    folder, limit, bootstrap = sys.argv[1:]
    kafka.configure(Path(folder), int(limit), **{"bootstrap.servers": bootstrap})
    kafka.start()
    for line in sys.stdin:
        command, *words = line.split()
        answer: object = None
        if command == "publish":
            times = publish(words[0], int(words[1]), *map(float, words[2:]))
            answer = sorted(times)[int(len(times) * 0.99)]
        elif command == "fork":
            children = []
            for child in range(int(words[0])):
                pid = os.fork()
                if not pid:
                    publish(f"{words[1]}-{child}", int(words[2]))
                    sys.exit()
                children.append(pid)
            answer = [os.waitpid(pid, 0)[1] for pid in children]
        elif command == "wait":
            deadline = time.monotonic() + 60
            while kafka.counters().get(words[0], 0) < int(words[1]) and time.monotonic() < deadline:
                time.sleep(0.05)
            answer = kafka.counters()
        elif command == "counters":
            answer = kafka.counters()
        elif command == "full":
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (int(words[0]), resource.RLIM_INFINITY))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
