"""What must never be shown."""

import json
from datetime import datetime
from decimal import Decimal

import pytest

from opsfix.secrets import MASK, masked, masked_row, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mysql+pymysql://nova:s3cret@db/nova", "mysql+pymysql://nova:***@db/nova"),
        ("rabbit://a:x@h1:5672,other", "rabbit://a:***@h1:5672,other"),
        ("rabbit://a:x@h1:5672,b:y@h2:5672/", "rabbit://a:***@h2:5672/"),
        ("mysql://:only@db/x", "mysql://:***@db/x"),
        ("mysql://u:p%40ss@db and http://v:q@w", "mysql://u:***@db and http://v:***@w"),
        ("mysql://u:p@ss@db/x", "mysql://u:***@db/x"),
        ("mysql://u:p/ss@db/x", "mysql://u:***@db/x"),
        ("mysql://u@db/x?password=s3cret&charset=utf8", "mysql://u@db/x?password=***&charset=utf8"),
        ("mysql://u:p@db/x?a=b&passwd=s3cret", "mysql://u:***@db/x?a=b&passwd=***"),
        ("db?ssl_key_password=s%2Fx#f", "db?ssl_key_password=***#f"),
        ('{"auth_password": "s3cret", "id": 1}', '{"auth_password": "***", "id": 1}'),
        ('{"adminPass":"a\\"b", "x": "y"}', '{"adminPass":"***", "x": "y"}'),
        ("{'password': 's3cret', 'token': \"it's\"}", "{'password': '***', 'token': '***'}"),
        ('{"data": "{\\"secret\\": \\"s3\\", \\"n\\": 1}"}', '{"data": "{\\"secret\\": \\"***\\", \\"n\\": 1}"}'),
        ('HTTP 400: {"password": "cut off, s3cr', 'HTTP 400: {"password": "***"'),
        ('{"password": "cut off\\', '{"password": "***"'),
        ('{"password": 12345, "n": 1}', '{"password": "***", "n": 1}'),
        ('{"passwords_changed": "no"}', '{"passwords_changed": "no"}'),
        ('{"token": {"id": "s3cret"}, "n": {}}', '{"token": "***", "n": {}}'),
        ('{"password": {"user": {"name": "u", "password": "s3cret"}}}', '{"password": {"user": {"name": "u", "password": "***"}}}'),
        ("the plan mysql:/u:s3cret@h cannot be read", "the plan mysql:/u:***@h cannot be read"),
        ("the password: of x", "the password: of x"),
        ("http://host:8774/v2.1", "http://host:8774/v2.1"),
        ("user@host: no URL", "user@host: no URL"),
    ],
)
def test_passwords_in_urls(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize("column", ["connection_info", "connector", "provider_auth", "transport_url", "user_data"])
def test_columns_with_secrets_are_masked(column: str) -> None:
    assert masked_row({"id": 1, column: "s3cret"}) == {"id": 1, column: MASK}
    assert masked_row({column: None}) == {column: None}
    assert masked_row({column: ""}) == {column: ""}


def test_plain_values_are_json() -> None:
    value = {"t": datetime(2026, 1, 1), "d": Decimal(1), "l": (1, {2}), 3: b"x", "n": None, "b": True}  # noqa: DTZ001
    assert json.loads(json.dumps(plain(value))) == {
        "t": "2026-01-01 00:00:00", "d": "1", "l": [1, [2]], "3": "b'x'", "n": None, "b": True,
    }
