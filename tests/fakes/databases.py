"""ports.Databases over a FakeCloud's rows, for tests of the engine; the SQL itself is tested in tests/sql."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opsfix import sqlfile
from opsfix.errors import DatabaseRefused, DatabaseUnknown
from opsfix.finders import UNSETTLED
from opsfix.gateways.transaction import Changed, Effect, Preview
from tests.fakes.cloud import FakeCloud
from tests.fakes.fallbacks import FALLBACKS, Change
from tests.fakes.rows import MappingRow, ServerRow, VolumeRow, ago

Rows = list[dict[str, Any]]


class FakeDatabases:
    """Reads what the fake services keep. ``lost``: the next commit's fate is not known, 'before' or 'after' it took
    place. ``committed`` names the files that were committed."""

    def __init__(self, cloud: FakeCloud, names: tuple[str, ...] = ("cinder", "nova_api", "nova")):
        self.world, self._names = cloud.world, names
        self.lost: str | None = None
        self.committed: list[str] = []

    def names(self) -> tuple[str, ...]:
        """See ports.Databases."""
        return self._names

    def cell_names(self) -> list[str]:
        """nova's cells."""
        return list(self.world.cells)

    def read(self, name: str, params: Mapping[str, Any], *, cell: str | None = None) -> Rows:
        """See ports.Databases."""
        stem, database = name.rsplit(".", 1)
        assert database in self._names, f"{database} is not configured"
        with self.world.lock:
            rows: Rows = getattr(self, f"_{stem}")(cell=cell, **params)
        return rows

    # nova

    def _servers(self, cell: str | None) -> Iterable[ServerRow]:
        return (s for s in self.world.servers.values() if not s.deleted and cell in (None, s.cell))

    def _read_server_live(self, server_id: str, cell: str | None) -> Rows:
        return [{"uuid": s.id, "cell": s.cell} for s in self._servers(cell) if s.id == server_id]

    def _read_attachments_mapped(self, volume_ids: list[str], cell: str | None) -> Rows:
        return [
            {"attachment_id": m.attachment_id} for s in self._servers(cell) for m in s.live if m.volume_id in set(volume_ids)
        ]

    def _read_volume_mappings(self, volume_id: str, cell: str | None) -> Rows:
        return [_mapping(m, s.cell) for s in self._servers(cell) for m in s.live if m.volume_id == volume_id]

    def _read_mapping_page(self, after: str, page: int, cell: str | None) -> Rows:
        rows = sorted(
            ((m.volume_id, m.attachment_id, s.id) for s in self._servers(cell) for m in s.live if m.volume_id > after),
            key=lambda row: row[0],
        )
        return [{"volume_id": v, "attachment_id": a, "instance_uuid": s, "cell": cell} for v, a, s in rows[:page]]

    # cinder

    def _volumes(self) -> Iterable[VolumeRow]:
        return (v for v in self.world.volumes.values() if not v.deleted)

    def _read_volume(self, volume_id: str, cell: str | None) -> Rows:
        volume = next((v for v in self._volumes() if v.id == volume_id), None)
        host = self.world.workers.get(volume_id)
        service = self.world.service("cinder-volume", host)
        beats = service is not None and service.updated_at > ago(60)
        work = {"worker_id": 1 if host else None, "worker_host": host, "worker_alive": int(beats)}
        return [
            {"status": volume.status, "changed_at": volume.updated_at and volume.updated_at.replace(tzinfo=None),
             "attachment_id": a and a.id, "attached_host": a and a.host, "attachment_changed_at": None,
             "has_connector": bool(a and a.connected), **work}
            for a in (volume.live or [None])
        ] if volume else []

    def _read_volume_candidates(self, cell: str | None) -> Rows:
        return [
            {"id": v.id} for v in self._volumes()
            if v.status in UNSETTLED or (v.status == "in-use" and not v.live) or (v.status == "available" and v.live)
        ]

    def _read_attachment_page(self, after: str, page: int, cell: str | None) -> Rows:
        rows = sorted((a for v in self._volumes() for a in v.live if a.id > after), key=lambda a: a.id)
        return [{"id": a.id, "volume_id": a.volume_id, "instance_uuid": a.server_id} for a in rows[:page]]

    def _read_attachments_live(self, volume_ids: list[str], cell: str | None) -> Rows:
        return [{"id": a.id} for v in self._volumes() if v.id in set(volume_ids) for a in v.live]

    # fallbacks

    def preview(self, name: str, params: Mapping[str, Any], *, cell: str | None = None) -> Preview:
        """See ports.Databases."""
        with self.world.lock:
            effects, refusal, _ = self._effects(name, params)
        return Preview(effects, refusal)

    def commit(
        self, name: str, params: Mapping[str, Any], record: Callable[..., None], *, cell: str | None = None
    ) -> Changed:
        """See ports.Databases."""
        with self.world.lock:
            effects, refusal, changes = self._effects(name, params)
            if refusal:
                raise DatabaseRefused(refusal)
            where = {"file": name, "service": name.rsplit(".", 1)[-1], "cell": cell, "database": "fake"}
            record("sql-before", images=[], statements=[], **where)
            record("sql-after", images=[], **where)
            lost, self.lost = self.lost, None
            if lost != "before":
                for change in changes:
                    change.apply()
                self.committed.append(name)
            if lost:
                raise DatabaseUnknown("the connection was lost while committing")
            record("sql-committed", **where)
        return Changed(effects)

    def _effects(self, name: str, params: Mapping[str, Any]) -> tuple[list[Effect], str | None, list[Change]]:
        file = sqlfile.load(name)
        assert set(params) == set(file.params), f"{name} takes {sorted(file.params)}, got {sorted(params)}"
        changes = self._changes(name, dict(params))
        effects, refusal = [], None
        for statement, change in zip((s for s in file.statements if s.changes), changes, strict=True):
            if not statement.rows.admits(change.rows):
                refusal = refusal or f"{statement.table}: {change.rows} rows match where {statement.rows} must"
            before: tuple[dict[str, Any], ...] = ({},) * change.rows
            values, expected = dict(params), str(statement.rows)
            effects.append(Effect(statement.table or "", statement.text, values, expected, change.rows, before))
        return effects, refusal, changes

    def _changes(self, name: str, params: dict[str, Any]) -> list[Change]:
        return FALLBACKS[name](self.world, params)


def _mapping(row: MappingRow, cell: str) -> dict[str, Any]:
    return {
        "id": row.id, "uuid": row.uuid, "instance_uuid": row.server_id, "volume_id": row.volume_id,
        "attachment_id": row.attachment_id, "boot_index": row.boot_index, "device_name": row.device,
        "connected": int(row.connected), "cell": cell,
    }
