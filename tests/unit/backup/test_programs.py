"""What the servers' programs are told, and what an option file says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from opsfix.backup import programs
from opsfix.backup.load import compare, lines, only_tables, rows_with
from opsfix.backup.scan import Scan, Table
from opsfix.errors import ConfigError
from opsfix.gateways.servers import Account, account_of, quoted, read_account, with_options

NASTY = "p'a\"s\\w#o;r%d @:/ß\t$"


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_an_option_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    """What goes to the clients through a pipe comes back the same from a file."""
    account = Account("db.example.net", 3307, "opsfix", NASTY, None, (("ssl-ca", "/etc/ca.pem"),))
    found = read_account(written(tmp_path / "my.cnf", programs.option_text(account).decode()))
    assert with_options(Account("elsewhere", 1, "nova", "own"), found) == account


def test_only_the_clients_groups_count(tmp_path: Path) -> None:
    text = "[mysqld]\nuser=mysql\n[client]\n# user = no\nuser = root # yes\npassword=secret\n[mysql]\nuser=interactive\n"
    assert read_account(written(tmp_path / "my.cnf", text)) == {"user": "root", "password": "secret"}


def test_a_file_that_names_no_place_keeps_the_configured_one() -> None:
    here = Account("db", 3307, "nova", "own", "/run/s")
    assert with_options(here, {"user": "root", "password": "p"}) == Account("db", 3307, "root", "p", "/run/s")
    assert with_options(here, {"host": "other"}) == Account("other", 3307, "nova", "", None)
    with pytest.raises(ConfigError, match="no number"):
        with_options(here, {"port": "x"})


@pytest.mark.parametrize("text", ["", "[mysqld]\nuser=mysql\n", "user=root\n", "[client]\nssl-ca=/x\n"])
def test_a_file_without_an_account_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="has no user"):
        read_account(written(tmp_path / "my.cnf", text))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.cnf cannot be read"):
        read_account(tmp_path / "none.cnf")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="no text"):
        read_account(tmp_path / "binary")


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", ()), ("?charset=utf8", ()), ("?ssl_ca=/ca", (("ssl-ca", "/ca"),)),
        ("?ssl_ca=/ca&ssl_mode=VERIFY_IDENTITY", (("ssl-ca", "/ca"), ("ssl-verify-server-cert", "1"))),
        ("?ssl_mode=REQUIRED", (("ssl", "1"),)),
    ],
)
def test_the_dump_speaks_to_the_server_as_the_service_does(query: str, options: tuple[tuple[str, str], ...]) -> None:
    account = account_of(sa.make_url(f"mysql+pymysql://nova:p%40@db:3307/nova{query}"))
    assert account == Account("db", 3307, "nova", "p@", None, options)


def test_a_socket_is_used_as_it_is_configured() -> None:
    account = account_of(sa.make_url("mysql+pymysql://nova@localhost/nova?unix_socket=/run/s"))
    assert b'socket="/run/s"' in programs.option_text(account)
    assert b"host=" not in programs.option_text(account)
    assert account.url().query["unix_socket"] == "/run/s"


def test_an_account_shows_no_password() -> None:
    account = Account("db", 3306, "nova", "secret-word")
    assert "secret-word" not in f"{account} {account!r} {account.url()}"


def test_children_know_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSFIX_DATABASE_NOVA", "mysql://nova:secret@db/nova")
    monkeypatch.setenv("MYSQL_PWD", "secret")
    assert set(programs.environment()) == {"PATH", "LC_ALL", "TZ"}
    monkeypatch.delenv("PATH")
    assert "/usr/sbin" in programs.environment()["PATH"]


def test_a_program_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(programs, "environment", lambda: {"PATH": str(tmp_path)})
    with pytest.raises(ConfigError, match="no mariadb-dump on this host"):
        programs.program("dump")
    (tmp_path / "mysqldump").write_text("#!/bin/sh\n")
    os.chmod(tmp_path / "mysqldump", 0o755)
    assert programs.program("dump") == f"{tmp_path}/mysqldump"


def test_mysqls_program_is_told_what_mariadbs_does_not_know(tmp_path: Path) -> None:
    mysql, mariadb = (tmp_path / name for name in ("mysqldump", "mariadb-dump"))
    for path, text in ((mysql, "Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)"), (mariadb, "Distrib 10.11-MariaDB")):
        path.write_text(f'#!/bin/sh\necho "{text}"\n')
        path.chmod(0o755)
    assert "--set-gtid-purged=OFF" in programs.dump_arguments(str(mysql), "nova")
    assert "--set-gtid-purged=OFF" not in programs.dump_arguments(str(mariadb), "nova")
    assert [programs.rows_of(str(p), one_a_line=False) for p in (mysql, mariadb)] == ["tuple", "line"]
    assert programs.rows_of(str(mysql), one_a_line=True) == "insert"


def test_a_database_that_looks_like_an_option_is_a_name() -> None:
    arguments = programs.dump_arguments("/bin/true", "--all-databases")
    assert arguments[-2:] == ["--", "--all-databases"]


def test_names_are_quoted_for_statements() -> None:
    assert quoted("a`b%c") == "`a``b%%c`"


DUMP = [
    b"-- head\n/*!40014 SET FOREIGN_KEY_CHECKS=0 */;\n\n--\n-- Table structure for table `a`\n--\nCREATE a;\n",
    b"INSERT INTO `a` VALUES\n(1,'uuid-1'),\n(2,'uu", b"id-2');\nUNLOCK TABLES;\nTRIGGER of a\n--\n-- Table structure for table `b`\n--\n",
    b"INSERT INTO `b` VALUES\n(1,'uuid-1 and more'),\n(7,'uuid-1');\n--\n-- Dumping events for database 'x'\n--\nEVENT\n",
    b"/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n\n-- Dump completed on x",
]


def test_lines_are_the_same_however_the_text_is_cut() -> None:
    whole = b"".join(DUMP)
    for size in (1, 3, 50, 10_000):
        assert b"".join(lines(whole[i:i + size] for i in range(0, len(whole), size))) == whole
        assert all(line.endswith(b"\n") for line in list(lines(DUMP))[:-1])


def test_a_table_is_taken_with_its_triggers_and_the_settings() -> None:
    text = b"".join(only_tables(DUMP, ["a"]))
    assert b"TRIGGER of a" in text
    assert b"FOREIGN_KEY_CHECKS=0" in text
    assert b"OLD_TIME_ZONE" in text
    assert b"`b`" not in text
    assert b"EVENT" not in text


def test_rows_are_found_by_a_whole_value() -> None:
    assert list(rows_with(DUMP, "uuid-1", "line")) == [("a", b"(1,'uuid-1')"), ("b", b"(7,'uuid-1')")]


def test_every_difference_is_named() -> None:
    wanted = [{"name": n, "rows": 2, "digest": "d"} for n in ("same", "fewer", "other", "gone")]
    found = Scan(tables={t.name: t for t in (Table("same", 2, "d"), Table("fewer", 1, "x"), Table("other", 2, "x"), Table("new", 0, ""))})
    assert {(d.table, d.text) for d in compare(wanted, found)} == {
        ("gone", "is missing"), ("new", "should not be there"), ("fewer", "has 1 rows and had 2"),
        ("other", "has other rows than when it was backed up"),
    }


@pytest.mark.parametrize(
    ("columns", "mariadb", "names"),
    [
        ({("varchar", "utf8mb3"), ("longtext", "utf8mb4"), ("int", ""), ("enum", "utf8"), ("datetime", "")}, True, "binary"),
        ({("varchar", "utf8mb3"), ("int", "")}, False, "utf8mb4"),
        *(({("varchar", "utf8mb3"), odd}, True, "utf8mb4") for odd in (
            ("blob", ""), ("varbinary", ""), ("bit", ""), ("uuid", ""), ("inet6", ""), ("point", ""), ("varchar", "latin1"),
            ("text", "utf16"), ("enum", "gbk"),
        )),
    ],
)
def test_bytes_are_dumped_as_stored_where_they_are_utf8_text(
    columns: set[tuple[str, str]], mariadb: bool, names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "is_of_mariadb", lambda _: True)
    assert programs.names_for("/bin/true", columns, mariadb=mariadb) == names
    monkeypatch.setattr(programs, "is_of_mariadb", lambda _: False)
    assert programs.names_for("/bin/true", columns, mariadb=mariadb) == "utf8mb4"


def test_bytes_are_hexadecimal_where_the_dump_converts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "is_of_mariadb", lambda _: True)
    stored, converted = (programs.dump_arguments("/bin/true", "nova", names=n) for n in (programs.STORED, programs.CONVERTED))
    assert {"--default-character-set=binary", "--skip-hex-blob"} <= set(stored)
    assert {"--default-character-set=utf8mb4", "--hex-blob"} <= set(converted)


def test_a_program_has_room_for_its_output_where_the_host_can_give_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert programs.roomy(["a", "b"])[-2:] == ["a", "b"]
    monkeypatch.setattr(programs, "environment", lambda: {"PATH": str(tmp_path)})
    assert programs.roomy(["a", "b"]) == ["a", "b"]
