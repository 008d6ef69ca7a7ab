"""A text file that is there whole or not at all, whoever reads it meanwhile."""

from __future__ import annotations

import os
from pathlib import Path


def replace(path: Path, text: str, mode: int = 0o644) -> None:
    """Put the text in place of the file; raises OSError, and leaves the file as it was then."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.chmod(mode)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
