"""Volumes to measure on: real ones made through the API, and a crowd of copies put into the tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pymysql

from tests.functional.cloud import Lab, wait_until

#: Ids of the crowd begin with it.
MARK = "be9cbe9c-"
#: What nova reads with a server, its mappings excepted, and the column that names the server.
SERVER = {
    "instances": "uuid", "instance_extra": "instance_uuid", "instance_info_caches": "instance_uuid",
    "instance_system_metadata": "instance_uuid",
}


def volumes(lab: Lab, count: int) -> list[str]:
    """Ids of this many free volumes, made through the API."""
    storage = lab.api.block_storage
    have = [v.id for v in storage.volumes(details=False, all_projects=True, status="available") if v.name.startswith("bench-")]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(
            lambda n: storage.create_volume(name=f"bench-{n:03}", size=1, volume_type="fake").id, range(len(have), count)
        ))
    ids = sorted([*have, *made])[:count]
    wait_until(lambda: states(lab, ids) == {"available": count}, 300, f"{count} volumes are available")
    return ids


def stick(lab: Lab, ids: Sequence[str]) -> None:
    """Call the volumes detaching, through the API, as a detach does that nobody carries on."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: lab.api.block_storage.reset_volume_status(i, "detaching", "detached", None), ids))
    assert states(lab, ids) == {"detaching": len(ids)}


def states(lab: Lab, ids: Sequence[str]) -> dict[str, int]:
    """How many of the volumes are in which state, by cinder's table."""
    rows = lab.rows("cinder", "SELECT status, COUNT(*) AS n FROM volumes WHERE id IN %s GROUP BY status", tuple(ids))
    return {r["status"]: r["n"] for r in rows}


@contextmanager
def crowd(lab: Lab, size: int) -> Iterator[None]:
    """This many healthy volumes beside those there are, a tenth of them in use by a server of its own, in every table
    that the services read for them; removed in the end."""
    used = size // 10
    free_id, used_id = _models(lab)
    attachment = lab.rows("cinder", "SELECT instance_uuid FROM volume_attachment WHERE volume_id=%s AND deleted=0", used_id)[0]
    server_id = attachment["instance_uuid"]
    cinder, cell = (lab.urls()[s].database for s in ("cinder", "nova"))
    db = _root(lab)
    with db, db.cursor() as cursor:
        _remove(cursor, cinder, cell)
        try:
            _copy(cursor, f"{cinder}.volumes", f"id='{free_id}'", size - used, id="free")
            _copy(cursor, f"{cinder}.volumes", f"id='{used_id}'", used, id="used")
            _copy(cursor, f"{cinder}.volume_attachment", f"volume_id='{used_id}' AND deleted=0", used, id="att", volume_id="used",
                  instance_uuid="vm")
            for table, column in SERVER.items():
                _copy(cursor, f"{cell}.{table}", f"{column}='{server_id}'", used, **{column: "vm"})
            _copy(cursor, "nova_api.instance_mappings", f"instance_uuid='{server_id}'", used, instance_uuid="vm")
            _copy(cursor, f"{cell}.block_device_mapping", f"volume_id='{used_id}' AND deleted=0", used, uuid="bdm", volume_id="used",
                  instance_uuid="vm", attachment_id="att")
            _analyze(cursor, cinder, cell)
            yield
        finally:
            _remove(cursor, cinder, cell)


def _models(lab: Lab) -> tuple[str, str]:
    """A free volume and one in use, both healthy."""
    rows = lab.rows("cinder", "SELECT id, status FROM volumes WHERE id IN %s", tuple(lab.healthy["volumes"]))
    found = {r["status"]: r["id"] for r in rows}
    return found["available"], found["in-use"]


def _root(lab: Lab) -> Any:
    url = lab.urls()["cinder"]
    return pymysql.connect(host=url.host, port=url.port, user="root", password="lab-root", database=url.database, autocommit=True)


def _copy(cursor: Any, table: str, where: str, count: int, *, values: Mapping[str, str] | None = None, **ids: str) -> None:
    """Copy a row; the named columns get ids made of the mark, a word and a number, the same wherever the word is.
    ``values`` are expressions for other columns, of the number ``s.seq``."""
    schema, name = table.split(".")
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema=%s AND table_name=%s"
        " AND (extra NOT LIKE '%%auto_increment%%') AND extra NOT LIKE '%%GENERATED%%'", (schema, name),
    )
    columns = [r[0] for r in cursor.fetchall()]
    own = {c: _id(word) for c, word in ids.items()} | dict(values or {})
    chosen = [own.get(c, f"m.`{c}`") for c in columns]
    listed = ", ".join(f"`{c}`" for c in columns)
    model = f"(SELECT * FROM {table} WHERE {where}) m"
    cursor.execute(f"INSERT INTO {table} ({listed}) SELECT {', '.join(chosen)} FROM {model}, seq_1_to_{count} s")
    assert cursor.rowcount >= count, f"{table} has no row WHERE {where}"


def _id(word: str) -> str:
    """An expression for an id, spread over the index as random ones are."""
    hashed = f"MD5(CONCAT('{word}', s.seq))"
    parts = [f"SUBSTR({hashed}, {start}, {length})" for start, length in ((1, 4), (5, 4), (9, 4), (13, 12))]
    return f"CONCAT('{MARK}', CONCAT_WS('-', {', '.join(parts)}))"


def _where(cinder: str, cell: str) -> Mapping[str, str]:
    """The tables of the crowd and the column that tells it, those that refer to others first."""
    servers = {f"{cell}.{table}": column for table, column in reversed(SERVER.items())}
    return {
        f"{cinder}.volume_attachment": "id", f"{cinder}.volumes": "id", f"{cell}.block_device_mapping": "uuid",
        "nova_api.instance_mappings": "instance_uuid",
    } | servers


def _remove(cursor: Any, cinder: str, cell: str) -> None:
    for table, column in _where(cinder, cell).items():
        cursor.execute(f"DELETE FROM {table} WHERE `{column}` LIKE '{MARK}%'")
    _analyze(cursor, cinder, cell)


def _analyze(cursor: Any, cinder: str, cell: str) -> None:
    cursor.execute(f"ANALYZE TABLE {', '.join(_where(cinder, cell))}")
