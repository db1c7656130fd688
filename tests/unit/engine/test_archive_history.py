"""The history of runs: what it remembers, what it forgets, and what it expects of the next run."""

import threading
from pathlib import Path

from pivori.engine.archive import history
from pivori.engine.archive.history import History, Operation, Outcome, Run, estimate, expect, expect_seconds, verdicts


def run(number: int, operation: Operation = Operation.CREATE, outcome: Outcome = Outcome.OK, **facts: object) -> Run:
    options = {"strategy": "complete", "format": "zip", "root": "/a", "archive": f"/b/{number}.zip"} | facts
    return Run(time=f"2025-01-01T00:00:{number:02d}+00:00", operation=operation, outcome=outcome, **options)


def test_what_was_noted_is_known(tmp_path: Path) -> None:
    kept = History(tmp_path / "state" / "pivori")
    runs = [run(number, files=number) for number in range(5)]
    for each in runs:
        kept.add(each)
    assert kept.runs() == runs
    assert (tmp_path / "state" / "pivori" / "history.jsonl").stat().st_mode & 0o777 == 0o600


def test_lines_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    kept = History(tmp_path)
    kept.add(run(1))
    with (tmp_path / "history.jsonl").open("ab") as file:
        file.write(b'{"time": 3}\n\xff\xfe\n{"half')
    with (tmp_path / "history.jsonl").open("ab") as file:
        file.write(b"\n")
    kept.add(run(2))
    assert [each.archive for each in kept.runs()] == ["/b/1.zip", "/b/2.zip"]


def test_nothing_fails_where_nothing_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (None, tmp_path / "file" / "below"):
        kept = History(place)
        kept.add(run(1))
        assert kept.runs() == []


def test_a_long_history_loses_its_older_half(tmp_path: Path, monkeypatch: object) -> None:
    kept = History(tmp_path)
    original = history._KEPT
    try:
        history._KEPT = 2000
        for number in range(40):
            kept.add(run(number % 60))
    finally:
        history._KEPT = original
    assert (tmp_path / "history.jsonl").stat().st_size < 2500
    assert kept.runs()[-1].archive == "/b/39.zip"


def test_runs_at_once_lose_nothing(tmp_path: Path) -> None:
    threads = [threading.Thread(target=lambda: [History(tmp_path).add(run(1)) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(History(tmp_path).runs()) == 200


def test_an_estimate_goes_by_earlier_runs() -> None:
    runs = [
        run(1, bytes=1000, archive_bytes=900, seconds=10.0, root="/other"),
        run(2, bytes=1000, archive_bytes=300, seconds=2.0),
        run(3, bytes=1000, archive_bytes=500, seconds=4.0),
        run(4, bytes=1000, archive_bytes=100, seconds=1.0, strategy="smart"),
        run(5, Operation.VERIFY, bytes=1000, archive_bytes=999),
    ]
    found = estimate(runs, strategy="complete", container="zip", content=2000, root="/a")
    assert found is not None
    assert (found.archive_bytes, found.seconds) == (1100, 6.0)
    other = estimate(runs, strategy="complete", container="zip", content=1000, root="/new")
    assert other is not None
    assert other.archive_bytes == 990
    assert estimate(runs, strategy="complete", container="7z", content=1000) is None


def test_the_last_word_on_an_archive_counts() -> None:
    runs = [
        run(1, tested=True),
        run(2),
        run(1, Operation.VERIFY, Outcome.FAILED),
        run(3, Operation.VERIFY),
        run(3, Operation.RESTORE, Outcome.FAILED),
    ]
    assert {name: each.outcome for name, each in verdicts(runs).items()} == {
        "/b/1.zip": Outcome.FAILED,
        "/b/3.zip": Outcome.OK,
    }


def test_a_directory_is_expected_to_be_as_large_as_at_the_last_run() -> None:
    runs = [run(1, bytes=100, archive_bytes=50, seconds=10), run(2, bytes=200, archive_bytes=100, seconds=20)]
    expected = expect(runs, strategy="complete", root="/a")
    assert expected is not None
    assert (expected.archive_bytes, expected.seconds) == (110, 20)
    assert expect(runs, strategy="complete", root="/b") is None, "another directory says nothing of this one's size"
    assert expect(runs, strategy="smart", root="/a") is None


def test_reading_is_expected_to_take_as_long_as_the_last_times() -> None:
    runs = [
        run(1, Operation.VERIFY, archive_bytes=100, seconds=1),
        run(2, Operation.VERIFY, archive_bytes=300, seconds=1),
    ]
    assert expect_seconds(runs, Operation.VERIFY, 1000) == 5
    assert expect_seconds(runs, Operation.RESTORE, 1000) is None


def test_a_tiny_archive_says_nothing_of_a_large_one() -> None:
    runs = [run(1, root="/tiny", strategy="complete", format="zip", bytes=10, archive_bytes=4000, seconds=1)]
    assert estimate(runs, strategy="complete", container="zip", content=150_000_000) is None
    assert estimate(runs, strategy="complete", container="zip", content=1000) is not None
