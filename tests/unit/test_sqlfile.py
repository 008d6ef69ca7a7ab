"""The form of the files of sql/: what is read from them, and what is no such file."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsfix import sqlfile
from opsfix.errors import ExitCode
from opsfix.sqlfile import Rows, SqlFileError, load, parse, spoken

GOOD = """\
-- database: cinder
-- releases: yoga .. 2026.2
-- purpose: an example
-- params: volume_id = volume.id, status = volume.status
-- params: word = some.fact
-- guard in sql: volume.status is detaching
-- guard in sql: attachments.live is 0
-- guard by api: mappings.live is 0
-- rows: 1

-- rows: 1
SELECT volumes.id FROM volumes WHERE volumes.id = :volume_id ORDER BY volumes.id FOR UPDATE; -- noqa: PRS

-- rows: 1
UPDATE volumes
SET status = 'available'
WHERE volumes.id = :volume_id
  AND volumes.status = :status;

-- rows: 0..1
DELETE FROM workers
WHERE workers.resource_id = :volume_id;

-- rows: 0..n
DELETE FROM transfers
WHERE transfers.volume_id = :volume_id AND transfers.display_name <> 'created -- # or altered' AND 1 < :word;
"""
READ = """\
-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- params: server_id = server.id
-- scan: instances, because this is an example

-- rows: 0..n
SELECT i.uuid FROM instances AS i WHERE i.uuid = :server_id;
"""


def test_a_fallback_is_read_whole() -> None:
    file = parse("example.cinder", GOOD)
    assert (file.name, file.database, file.releases) == ("example.cinder", "cinder", "yoga .. 2026.2")
    assert file.params == {"volume_id": "volume.id", "status": "volume.status", "word": "some.fact"}
    assert file.guards_in_sql == ("volume.status is detaching", "attachments.live is 0")
    assert file.guards_by_api == ("mappings.live is 0",)
    assert (file.rows, file.reads, file.scan) == (1, False, None)
    lock, update, delete, last = file.statements
    assert lock.text.endswith("FOR UPDATE")
    assert (lock.changes, lock.table, lock.where) == (False, None, None)
    assert (update.changes, update.table) == (True, "volumes")
    assert update.image == (
        "SELECT volumes.* FROM volumes\nWHERE volumes.id = :volume_id\n  AND volumes.status = :status"
    )
    assert delete.image == "SELECT workers.* FROM workers\nWHERE workers.resource_id = :volume_id"
    assert [str(s.rows) for s in file.statements] == ["1", "1", "0..1", "0..n"]
    assert last.table == "transfers"


def test_a_statement_may_be_for_a_table_that_not_every_release_has() -> None:
    file = parse("example.cinder", GOOD.replace("-- rows: 0..n\n", "-- rows: 0..n, where the table exists\n"))
    assert [s.optional for s in file.statements] == [False, False, False, True]
    assert str(file.statements[-1].rows) == "0..n"


INSERT = """\
-- database: nova_api
-- releases: yoga .. 2026.2
-- params: host = host.id, cell_id = host.cell
-- rows: 1

-- rows: 1
INSERT INTO host_mappings (cell_id, host)
SELECT c.id, :host
FROM cell_mappings AS c
WHERE c.uuid = :cell_id;
"""


def test_a_row_may_be_made_of_what_is_selected() -> None:
    [insert] = parse("example.nova_api", INSERT).statements
    assert (insert.changes, insert.table, insert.columns) == (True, "host_mappings", ("cell_id", "host"))
    assert insert.image == "SELECT c.id, :host\nFROM cell_mappings AS c\nWHERE c.uuid = :cell_id"


@pytest.mark.parametrize(("old", "new", "told"), [
    ("INSERT INTO", "INSERT IGNORE INTO", "holds what none may"),
    ("INSERT INTO", "REPLACE INTO", "holds what none may"),
    ("= :cell_id", "= :cell_id ON DUPLICATE KEY UPDATE host = :host", "holds what none may"),
    (" (cell_id, host)", "", "of the known form"),
    ("\nWHERE c.uuid = :cell_id", " JOIN x ON c.uuid = :cell_id", "of the known form"),
    ("SELECT c.id, :host\nFROM cell_mappings AS c\nWHERE c.uuid = :cell_id", "VALUES (:cell_id, :host)", "of the known form"),
])
def test_a_row_is_made_in_no_other_way(old: str, new: str, told: str) -> None:
    with pytest.raises(SqlFileError, match=told):
        parse("example.nova_api", INSERT.replace(old, new))


def test_a_read_is_read_whole() -> None:
    file = parse("example.nova", READ)
    assert (file.database, file.reads, file.rows, file.params) == ("nova", True, 0, {"server_id": "server.id"})
    assert file.scan == "instances, because this is an example"
    assert [s.text for s in file.statements] == ["SELECT i.uuid FROM instances AS i WHERE i.uuid = :server_id"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        pytest.param("-- rows: 1\n\n", "-- rows: 1\n", "not a header line: 'SELECT", id="no empty line"),
        pytest.param("-- purpose:", "purpose:", "not a header line: 'purpose: an example'", id="no dashes"),
        pytest.param("-- purpose:", "-- reason:", "not a header line", id="unknown key"),
        pytest.param("-- purpose: an example", "-- an example", "not a header line", id="no key"),
        pytest.param("-- database: cinder\n", "", "exactly one 'database'", id="no database"),
        pytest.param("-- releases", "-- database: cinder\n-- releases", "exactly one 'database'", id="two databases"),
        pytest.param("-- database: cinder", "-- database: nova", "not that of the file's name", id="other database"),
        pytest.param("-- releases: yoga .. 2026.2\n", "", "exactly one 'releases'", id="no releases"),
        pytest.param("-- rows: 1\n\n--", "\n--", "exactly one 'rows'", id="no rows"),
        pytest.param("-- rows: 1\n\n--", "-- rows: 2\n\n--", "expects 2 rows, its statements 1", id="other rows"),
        pytest.param("-- rows: 1\n\n--", "-- rows: 0..1\n\n--", "expects 0..1 rows", id="rows not exact"),
        pytest.param("-- purpose", "-- kind: write\n-- purpose", "kind is 'read' or not given", id="unknown kind"),
        pytest.param("word = some.fact", "word", "'word' is not 'name = fact'", id="parameter without fact"),
        pytest.param("word = some.fact", "word =", "'word =' is not 'name = fact'", id="parameter of nothing"),
        pytest.param("word = some.fact", "word = some.fact,", "'' is not 'name = fact'", id="comma too many"),
        pytest.param("-- params: word = some.fact\n", "", "['word'] are not both", id="parameter not declared"),
        pytest.param(" AND 1 < :word", "", "['word'] are not both", id="parameter not used"),
        pytest.param("-- rows: 0..1\nDELETE", "DELETE", "must follow a '-- rows: N' line", id="statement without rows"),
        pytest.param("-- rows: 0..1\nDELETE", "-- rows: some\nDELETE", "not '-- rows: some'", id="rows not a number"),
        pytest.param("-- rows: 0..1\nDELETE", "-- rows: 0...1\nDELETE", "not '-- rows: 0...1'", id="rows no range"),
        pytest.param(":status;", ":status", "holds what none may", id="no semicolon"),
        pytest.param("'available'", "'a:word'", "holds what none may", id="parameter in a string"),
        pytest.param("  AND volumes.status", "  -- AND volumes.status", "holds what none may", id="comment --"),
        pytest.param("  AND volumes.status", "  # AND volumes.status", "holds what none may", id="comment #"),
        pytest.param("  AND volumes.status", "  /* AND */ AND volumes.status", "holds what none may", id="comment /*"),
        pytest.param("\nWHERE volumes.id", " WHERE volumes.id", "of the known form", id="WHERE not at a line's start"),
        pytest.param("\nSET status", " SET status", "of the known form", id="SET not at a line's start"),
        pytest.param(" FOR UPDATE;", ";", "of the known form", id="select without lock"),
        pytest.param("UPDATE volumes\n", "UPDATE volumes AS v\n", "of the known form", id="alias"),
        pytest.param("UPDATE volumes\n", "UPDATE volumes, workers\n", "of the known form", id="two tables"),
        pytest.param("\nWHERE workers.resource_id = :volume_id", "", "of the known form", id="DELETE of everything"),
        pytest.param("DELETE FROM workers", "CALL workers", "of the known form", id="another statement"),
        *(
            pytest.param("'available'", f"'available' {word} x", "holds what none may", id=word)
            for word in (
                "create", "ALTER", "DROP", "TRUNCATE", "RENAME", "GRANT", "INSERT", "REPLACE", "LOCK TABLES",
                "foreign_key_checks", "SQL_LOG_BIN", "wsrep_on",
            )
        ),
    ],
)  # fmt: skip
def test_what_is_not_of_the_form_is_refused(old: str, new: str, told: str) -> None:
    assert old in GOOD
    with pytest.raises(SqlFileError) as e:
        parse("example.cinder", GOOD.replace(old, new, 1))
    assert told in str(e.value)
    assert str(e.value).startswith("sql/example.cinder.sql: ")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        pytest.param("SELECT i.uuid", "UPDATE i.uuid", "a read is a plain SELECT", id="no SELECT"),
        pytest.param(";\n", " FOR UPDATE;\n", "a read is a plain SELECT", id="a lock"),
        pytest.param(";\n", ";\n\n-- rows: 1\nSELECT 1;\n", "one statement, not 2", id="two statements"),
        pytest.param("-- rows: 0..n\nSELECT i.uuid FROM instances AS i WHERE i.uuid = :server_id;", "",
                     "one statement, not 0", id="no statement"),
        pytest.param("-- kind: read\n", "-- kind: read\n-- kind: read\n", "exactly one 'kind'", id="two kinds"),
        pytest.param("-- kind: read\n", "", "neither a lock", id="no kind"),
    ],
)  # fmt: skip
def test_what_is_no_read_is_refused(old: str, new: str, told: str) -> None:
    assert old in READ
    with pytest.raises(SqlFileError, match=told):
        parse("example.nova", READ.replace(old, new, 1))


def test_a_header_alone_is_refused() -> None:
    with pytest.raises(SqlFileError, match="no empty line after the header"):
        parse("example.cinder", GOOD.split("\n\n", maxsplit=1)[0])


def test_a_fallback_must_be_sure_of_some_row() -> None:
    text = GOOD.replace("-- rows: 1\nUPDATE", "-- rows: 0..1\nUPDATE").replace("-- rows: 1\n\n--", "-- rows: 0\n\n--")
    with pytest.raises(SqlFileError, match="no statement says how many rows"):
        parse("example.cinder", text)


def test_a_fallback_may_change_any_number_of_rows_but_none() -> None:
    text = GOOD.replace("-- rows: 1\nUPDATE", "-- rows: 1..n\nUPDATE").replace("-- rows: 1\n\n--", "-- rows: 1..n\n\n--")
    file = parse("example.cinder", text)
    assert (file.rows, next(str(s.rows) for s in file.statements if s.changes)) == (1, "1..n")


def test_a_missing_file_is_a_defect_of_the_installation() -> None:
    with pytest.raises(SqlFileError, match=r"no_such_file\.cinder\.sql cannot be read .*reinstall opsfix") as e:
        load("no_such_file.cinder")
    assert e.value.exit_code is ExitCode.BUG


def test_files_of_the_package_come_before_a_checkouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "opsfix"
    package.mkdir()
    monkeypatch.setattr(sqlfile, "__file__", str(package / "sqlfile.py"))
    assert sqlfile.directory() == package / "sql"
    (tmp_path / "sql").mkdir()
    assert sqlfile.directory() == tmp_path / "sql"
    (package / "sql").mkdir()
    assert sqlfile.directory() == package / "sql"


@pytest.mark.parametrize("path", sorted(sqlfile.directory().glob("*.sql")), ids=lambda path: path.stem)
def test_every_file_is_of_the_form(path: Path) -> None:
    assert load(path.name.removesuffix(".sql")).statements


@pytest.mark.parametrize(
    ("rows", "admitted", "refused"),
    [
        (Rows(1, 1), (1,), (0, 2)),
        (Rows(0, 1), (0, 1), (2,)),
        (Rows(0, None), (0, 1, 1000), ()),
        (Rows(2, 3), (2, 3), (1, 4)),
    ],
)
def test_row_counts(rows: Rows, admitted: tuple[int, ...], refused: tuple[int, ...]) -> None:
    assert all(map(rows.admits, admitted))
    assert not any(map(rows.admits, refused))


def test_a_statement_is_spoken_with_its_values() -> None:
    text = "UPDATE t\nSET a = :a\nWHERE b = :b AND c <=> :c AND d = 'x'"
    told = spoken(text, {"a": 7, "b": "it's", "c": None})
    assert " ".join(told.split()) == "UPDATE t SET a = 7 WHERE b = 'it''s' AND c <=> NULL AND d = 'x'"
