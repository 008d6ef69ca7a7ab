"""The schemas that the SQL files were proven on: each database's alembic heads, Yoga to 2026.2.

A head may serve several releases. neutron has one contract head for all of them and an expand head per release.
keystone is not here: opsfix copies its database and changes nothing in it.
"""

from __future__ import annotations

HEADS: dict[str, dict[str, tuple[str, ...]]] = {
    "nova_api": {
        "b30f573d3377": ("yoga", "zed", "2023.1"),
        "cdeec0c85668": ("2023.2", "2024.1", "2024.2", "2025.1", "2025.2", "2026.1", "2026.2"),
    },
    "nova": {
        "16f1fbcab42b": ("yoga",),
        "ccb0fa1a2252": ("zed",),
        "960aac0e09ea": ("2023.1",),
        "1acf2c98e646": ("2023.2",),
        "13863f4e1612": ("2024.1", "2024.2"),
        "2903cd72dc14": ("2025.1", "2025.2", "2026.1"),
        "ab450ba04102": ("2026.2",),
    },
    "cinder": {
        "921e1a36b076": ("yoga",),
        "c92a3e68beed": ("zed",),
        "daa98075b90d": ("2023.1",),
        "89aa6f9639f9": ("2023.2",),
        "9c74c1c6971f": ("2024.1", "2024.2", "2025.1", "2025.2", "2026.1", "2026.2"),
    },
    "glance": {
        "wallaby_contract01": ("yoga", "zed"),
        "2023_1_contract01": ("2023.1", "2023.2"),
        "2024_1_contract01": ("2024.1", "2024.2", "2025.1", "2025.2", "2026.1", "2026.2"),
    },
    "neutron": {
        "34cf8b009713": ("yoga",),
        "5c85685d616d": ("yoga", "zed", "2023.1", "2023.2", "2024.1", "2024.2", "2025.1", "2025.2", "2026.1", "2026.2"),
        "5881373af7f5": ("zed",),
        "fc153938cdc1": ("2023.1",),
        "89c58a70ceba": ("2023.2",),
        "0e6eff810791": ("2024.1",),
        "5bcb7b31ec7d": ("2024.2",),
        "ad80a9f07c5c": ("2025.1",),
        "d553edeb540f": ("2025.2",),
        "b1bca967e19d": ("2026.1",),
        "c7f8d9e0f1a2": ("2026.2",),
    },
    "placement": {
        "422ece571366": ("yoga", "zed", "2023.1"),
        "a082b8bb98d0": ("2023.2", "2024.1", "2024.2", "2025.1", "2025.2", "2026.1", "2026.2"),
    },
}


def release_of(database: str, heads: set[str]) -> str | None:
    """The releases that have all these heads, such as "2025.1 .. 2026.1"; None when none is known to."""
    known = HEADS.get(database, {})
    if not heads or not heads <= known.keys():
        return None
    common = [r for r in known[min(heads)] if all(r in known[head] for head in heads)]
    return (common[0] if len(common) == 1 else f"{common[0]} .. {common[-1]}") if common else None


def unknown_heads(database: str, heads: set[str]) -> set[str]:
    """The heads that no known release has; a database without any head is as unknown as one with a strange head."""
    return (heads or {"(none)"}) - HEADS[database].keys()
