"""What must never be shown: passwords in URLs, and columns that hold secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: Up to the last @ of the word: a password may hold / and @ unquoted, and too much hidden is better than too little. With
#: one slash it is a URL that was taken for a path.
_IN_URL = re.compile(r"(?P<head>[a-z][\w+.-]*://?[^\s:/@]*):\S+@", re.IGNORECASE)
_IN_QUERY = re.compile(r"(?P<head>[?&](?:password|passwd|ssl_key_password)=)[^&#\s\"']+", re.IGNORECASE)
#: In JSON, in Python's words for it, and in JSON inside of JSON; a text that was cut off has no end.
_IN_PAIR = re.compile(
    r"""(?P<head>(?P<quote>\\*["'])[\w-]*(?:password|passwd|adminpass|secret|token)(?P=quote)\s*:\s*)"""
    r"""(?:(?P<mark>\\*["']).*?(?:(?<!\\)(?P=mark)|\Z)|\{[^{}]*\}|[^\s,{}\[\]"'\\]+)""",
    re.IGNORECASE | re.DOTALL,
)
_COLUMNS = frozenset({
    "connection_info", "connector", "provider_auth", "provider_location", "encryption_key_id", "transport_url",
    "database_connection", "user_data", "key_data", "admin_pass", "token", "token_hash", "value",
})
MASK = "***"


def masked(text: str) -> str:
    """The text without the passwords of URLs, of their options, and of JSON's pairs."""
    text = _IN_QUERY.sub(rf"\g<head>{MASK}", _IN_URL.sub(rf"\g<head>:{MASK}@", text))
    return _IN_PAIR.sub(rf"\g<head>\g<quote>{MASK}\g<quote>", text)


def masked_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row for showing: columns that may hold secrets masked, the rest as plain values."""
    return {k: MASK if k in _COLUMNS and v not in (None, "") else plain(v) for k, v in row.items()}


def plain(value: Any) -> Any:
    """A value as JSON has it; what JSON has not becomes text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    return str(value)
