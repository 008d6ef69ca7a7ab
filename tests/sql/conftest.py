"""A private MariaDB for the SQL tests: one server for the session, databases by the dozen."""

import getpass
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
from pytest_mysql import factories
from pytest_mysql.executor import MySQLExecutor

from tests.sql.server import MariaDB

# Durability is of no use to a server that dies with the tests; without it creating a table is ten times faster.
# The odd time zone makes a statement that says NOW() where it must say UTC_TIMESTAMP() fail.
PARAMETERS = (
    "--bind-address=127.0.0.1 --skip-name-resolve --default-time-zone=+05:45 --max-connections=400"
    " --innodb-flush-log-at-trx-commit=0 --innodb-flush-method=nosync --innodb-doublewrite=OFF"
    " --innodb-file-per-table=OFF --innodb-buffer-pool-size=256M --innodb-log-file-size=256M"
    " --performance-schema=OFF"
)


def _program(name: str) -> str:
    # /usr/sbin is not on the PATH of an ordinary user.
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin"
    return shutil.which(name, path=path) or name


# --no-defaults has to be the first argument: the machine's own my.cnf is for the machine's own server.
mariadb_process = factories.mysql_proc(
    mysqld_exec=Path(_program("mariadbd")),
    mysqld_safe=f"{_program('mariadbd-safe')} --no-defaults",  # type: ignore[arg-type]
    admin_executable=_program("mariadb-admin"),
    install_db=str(Path(__file__).with_name("install-db")),
    host="127.0.0.1",
    user=getpass.getuser(),
    port=None,
    params=PARAMETERS,
)


@pytest.fixture(scope="session")
def mariadb(mariadb_process: MySQLExecutor) -> Iterator[MariaDB]:
    """The session's server; see tests/sql/server.py for what it can do."""
    user, password = "opsfix_test", secrets.token_hex(8)
    _create_account(mariadb_process, user, password)
    socket = Path(mariadb_process.unixsocket)
    server = MariaDB(mariadb_process.host, mariadb_process.port, socket, user, password)
    yield server
    server.close()


def _create_account(process: MySQLExecutor, user: str, password: str) -> None:
    """Make the account of the tests; the owner of the server process logs in by its socket alone."""
    with (
        pymysql.connect(unix_socket=process.unixsocket, user=process.user) as connection,
        connection.cursor() as cursor,
    ):
        for host in ("localhost", "127.0.0.1"):
            cursor.execute(f"CREATE USER '{user}'@'{host}' IDENTIFIED BY '{password}'")
            cursor.execute(f"GRANT ALL ON *.* TO '{user}'@'{host}' WITH GRANT OPTION")
