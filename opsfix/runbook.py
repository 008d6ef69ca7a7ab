"""The runbooks, which are shipped with the package."""

from __future__ import annotations

from pathlib import Path

from opsfix.errors import UsageError


def directory() -> Path:
    """Where they are: inside an installed package, else beside the package in a checkout."""
    here = Path(__file__).resolve().parent
    return next((d for d in (here / "runbooks", here.parent / "runbooks") if d.is_dir()), here / "runbooks")


def read(*names: str) -> str:
    """The first of these that there is: a finding's, or that of its command. Raises UsageError for none."""
    stems = [name.replace("-", "_").replace(" ", "_") for name in names]
    for stem in stems:
        path = directory() / f"{stem}.md"
        if stem.replace("_", "").isalnum() and path.is_file():
            return path.read_text(encoding="utf-8")
    known = ", ".join(sorted(p.stem.replace("_", "-") for p in directory().glob("*.md")))
    raise UsageError(f"there is no runbook of {names[0]!r}: there are {known}")
