"""The journal: nothing is lost, nothing is shown to others, and what it cannot write stops the run."""

import errno
import json
import os
import re
import stat
import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsfix import journal as module
from opsfix.errors import ConfigError, JournalError, LockedError
from opsfix.journal import Journal, decode, encode, host_lock, state_dir

VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.datetimes(), st.dates(),
        st.timedeltas(min_value=timedelta(days=-34), max_value=timedelta(days=34)), st.binary(),
        st.decimals(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)


def make(root: Path) -> Journal:
    """A journal of a run."""
    return Journal(root, "volume unstick", "commit", ["--all"], "cloud")


def lines(journal: Journal) -> list[dict[str, object]]:
    """The events on disk."""
    return [json.loads(line) for line in (journal.path / "journal.jsonl").read_text().splitlines()]


@given(VALUES)
def test_every_value_comes_back_as_it_was(value: object) -> None:
    assert decode(json.loads(json.dumps(encode(value)))) == value


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 11, 20, 7, 15, 0, 123456), datetime(2026, 11, 20), date(2026, 11, 20), b"\x00\xff{}",  # noqa: DTZ001
        Decimal("1.10"), timedelta(seconds=-1, microseconds=5), "\U0001f4a5 'x\" \\", {"a": [1, {"b": b"c"}]}, 2**64,
    ],
)
def test_values_of_rows_keep_their_type(value: object) -> None:
    again = decode(json.loads(json.dumps(encode({"row": value}))))["row"]
    assert (again, type(again)) == (value, type(value))


def test_a_value_that_looks_like_an_encoded_one_is_data() -> None:
    value = {"$type": "datetime", "value": "not a time"}
    assert decode(json.loads(json.dumps(encode(value)))) == value


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        journal = make(tmp_path / "state")
        journal.record("x", secret="connection_info")
        journal.close({"exit_code": 0})
    finally:
        os.umask(old)
    for directory in (tmp_path / "state", tmp_path / "state" / "runs", journal.path):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    files = list(journal.path.iterdir())
    assert {f.name for f in files} == {"run.json", "journal.jsonl", "report.json"}
    assert {stat.S_IMODE(f.stat().st_mode) for f in files} == {0o600}


def test_a_run_says_what_it_was(tmp_path: Path) -> None:
    journal = make(tmp_path)
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{4}", journal.run)
    seen = json.loads((journal.path / "run.json").read_text())
    assert (seen["command"], seen["mode"], seen["arguments"], seen["pid"]) == (
        "volume unstick", "commit", ["--all"], os.getpid(),
    )


def test_a_record_is_on_disk_when_the_call_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = make(tmp_path)
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(len(lines(journal))), real(fd)))
    journal.note("a")
    assert synced == []
    journal.record("b", n=1)
    assert synced == [2]
    assert [line["event"] for line in lines(journal)] == ["a", "b"]


def test_the_run_itself_survives_a_loss_of_power(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: set[str] = set()
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.add(os.readlink(f"/proc/self/fd/{fd}")), real(fd)))
    journal = make(tmp_path)
    assert {str(tmp_path), str(tmp_path / "runs"), str(journal.path)} <= synced


def test_text_that_was_no_utf_8_is_kept(tmp_path: Path) -> None:
    argument = os.fsdecode(b"volume-\xff")
    journal = Journal(tmp_path, "volume unstick", "commit", [argument], "cloud")
    journal.record("api-before", what=argument)
    journal.close({"name": argument})
    assert json.loads((journal.path / "run.json").read_text())["arguments"] == [argument]
    assert lines(journal)[0]["what"] == argument
    assert json.loads((journal.path / "report.json").read_text())["name"] == argument
    with host_lock(tmp_path, argument):
        pass


def test_several_threads_lose_nothing(tmp_path: Path) -> None:
    journal = make(tmp_path)
    threads = [
        threading.Thread(target=lambda n=n: [journal.record("e", n=n, i=i, text="x" * 3000) for i in range(20)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(line["n"], line["i"]) for line in lines(journal)} == {(n, i) for n in range(8) for i in range(20)}


def full(*_: object) -> int:
    """A disk without room."""
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o1777, 0o720])
@pytest.mark.parametrize("which", [".", "runs"])
def test_a_directory_that_others_may_write_to_is_refused(tmp_path: Path, mode: int, which: str) -> None:
    root = tmp_path / "state"
    (root / "runs").mkdir(parents=True)
    (root / which).chmod(mode)
    with pytest.raises(ConfigError, match=f"others may write to .*chmod 700 {(root / which).resolve()}"):
        make(root)
    assert list((root / "runs").iterdir()) == []
    if which == ".":
        with pytest.raises(ConfigError, match="others may write"), host_lock(root, "cloud"):
            pass


def test_a_directory_that_others_may_read_is_taken(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o755)
    assert make(tmp_path / "state").path.is_dir()


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(ConfigError, match="not to you: name another place with --state-dir"):
        make(tmp_path)


@pytest.mark.parametrize("call", ["write", "fsync"])
@pytest.mark.parametrize("use", [
    lambda journal: journal.record("api-before", what="x"), lambda journal: journal.close({"exit_code": 0}),
])
def test_a_full_disk_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, use: Callable[[Journal], None]
) -> None:
    journal = make(tmp_path)
    monkeypatch.setattr(os, call, full)
    with pytest.raises(JournalError, match="No space left on device"):
        use(journal)


def test_a_half_written_line_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = make(tmp_path)
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:7]))
    journal.record("long", text="y" * 100)
    assert lines(journal)[0]["text"] == "y" * 100


def test_a_place_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--state-dir"):
        make(tmp_path / "file" / "state")


def test_a_report_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = make(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JournalError):
        journal.close({"exit_code": 0})
    assert not (journal.path / "report.json").exists()


def homeless() -> Path:
    """What pathlib does for a user that no passwd knows, without HOME."""
    raise RuntimeError("Could not determine home directory.")


def test_the_state_is_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_dir("/given") == Path("/given")
    assert state_dir(None) == tmp_path / "opsfix"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert state_dir(None) == tmp_path / ".local" / "state" / "opsfix"
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(ConfigError, match="--state-dir"):
        state_dir(None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert state_dir(None) == Path("/var/lib/opsfix")


def test_the_lock_keeps_others_out_and_says_who_holds_it(tmp_path: Path) -> None:
    with host_lock(tmp_path, "a"):
        with pytest.raises(LockedError, match=f"pid {os.getpid()} on "), host_lock(tmp_path, "a"):
            pass
        with host_lock(tmp_path, "b"):
            pass
    with host_lock(tmp_path, "a"):
        pass


def test_a_lock_that_cannot_be_made_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--state-dir"), host_lock(tmp_path / "file", "a"):
        pass


def test_times_are_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", module.now())
