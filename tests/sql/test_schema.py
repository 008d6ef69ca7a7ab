"""The databases that the SQL tests stand on are those of the releases."""

import pymysql
import pytest
from sqlalchemy import create_engine, text

from tests.sql import schema
from tests.sql.server import MariaDB

PAIRS = [(release, database) for release in schema.RELEASES for database in schema.DATABASES]


@pytest.mark.parametrize(("release", "database"), PAIRS)
def test_every_database_can_be_made_whole(mariadb: MariaDB, release: str, database: str) -> None:
    url = mariadb.create_databases(release, {database: None})[database]
    tables = mariadb.execute(url, "SHOW TABLES")
    assert len(tables) == schema.HEADS[release]["tables"][database]
    versions = {row["version_num"] for row in mariadb.rows(url, "alembic_version")}
    assert versions == set(schema.heads(release, database))
    assert versions
    mariadb.drop(url)


@pytest.mark.parametrize("release", schema.RELEASES)
def test_columns_and_keys_are_those_of_the_record(mariadb: MariaDB, release: str) -> None:
    url = mariadb.databases(release, {"cinder": ["volumes"]})["cinder"]
    table = schema.tables(release, "cinder")["volumes"]
    columns = {row["Field"]: row["Type"] for row in mariadb.execute(url, "SHOW COLUMNS FROM volumes")}
    assert columns == {name: definition.split(" ")[0] for name, definition in table["columns"].items()}
    keys = {row["Key_name"] for row in mariadb.execute(url, "SHOW INDEX FROM volumes")}
    assert keys == {"PRIMARY", *(name for name, _, _ in table["indexes"])}


@pytest.mark.parametrize("release", schema.RELEASES)
def test_foreign_keys_are_enforced(mariadb: MariaDB, release: str) -> None:
    url = mariadb.databases(release, {"cinder": ["volume_attachment"]})["cinder"]
    with pytest.raises(pymysql.IntegrityError, match="foreign key constraint fails"):
        mariadb.insert(url, "volume_attachment", volume_id="none")
    volume = mariadb.insert(url, "volumes", status="available", volume_type_id="any")
    attachment = mariadb.insert(url, "volume_attachment", volume_id=volume["id"])
    with pytest.raises(pymysql.IntegrityError, match="foreign key constraint fails"):
        mariadb.execute(url, "DELETE FROM volumes")
    assert mariadb.rows(url, "volume_attachment") == [attachment]


def test_a_table_brings_what_it_refers_to(mariadb: MariaDB) -> None:
    url = mariadb.databases("2026.2", {"nova": ["block_device_mapping"]})["nova"]
    names = {next(iter(row.values())) for row in mariadb.execute(url, "SHOW TABLES")}
    assert names == {"alembic_version", "block_device_mapping", "instances"}


def test_reset_leaves_the_heads_and_nothing_else(mariadb: MariaDB) -> None:
    wanted = {"cinder": ["volumes", "workers"]}
    url = mariadb.databases("yoga", wanted)["cinder"]
    mariadb.insert(url, "volumes", volume_type_id="any")
    assert mariadb.databases("yoga", wanted)["cinder"] == url
    assert mariadb.rows(url, "volumes") == []
    assert len(mariadb.rows(url, "alembic_version")) == 1


def test_checksums_tell_a_changed_row(mariadb: MariaDB) -> None:
    url = mariadb.databases("2026.2", {"nova": ["instances"]})["nova"]
    instance = mariadb.insert(url, "instances", uuid="1", vm_state="active")
    before = mariadb.checksums(url)
    assert mariadb.checksums(url) == before
    mariadb.execute(url, "UPDATE instances SET vm_state = 'error' WHERE id = %s", (instance["id"],))
    assert mariadb.checksums(url) != before


def test_the_url_works_through_sqlalchemy(mariadb: MariaDB) -> None:
    url = mariadb.databases("2026.2", {"nova": ["instances"]})["nova"]
    engine = create_engine(url)
    mariadb.insert(engine, "instances", uuid="2")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM instances WHERE deleted = 0")).scalar() == 1
    engine.dispose()


def test_a_column_that_the_release_lacks_is_refused(mariadb: MariaDB) -> None:
    url = mariadb.databases("yoga", {"nova": ["instances"]})["nova"]
    with pytest.raises(KeyError, match="compute_id"):
        mariadb.insert(url, "instances", compute_id=1)
