"""The benchmark of a broker that is down, with an outage of seconds: whatever was answered arrives once."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks import producer_down


def test_what_was_answered_while_the_broker_was_down_arrives_once(tmp_path: Path) -> None:
    run, result = producer_down.measure(tmp_path, down=2, rate=20, up=1)
    sent = run.sent["with logging"]
    log = run.sites["with logging"].log.read_text()
    assert len(sent.seconds["down"]) > 10, log
    assert sent.failed == 0, log
    assert (result["missing"], result["twice"]) == (0, 0), log
    assert result["empty"] < 60, "the spool was not emptied"
    assert [len(lines) for lines in (run.table().splitlines(), producer_down.goals(run, result))] == [5, 4]
