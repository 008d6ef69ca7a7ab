"""The closing line of `make test` must never be greener than what it sums up."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

PATH = str(Path(__file__).resolve().parents[3] / "tools" / "check")
loader = SourceFileLoader("check", PATH)
check = module_from_spec(spec_from_loader("check", loader))
loader.exec_module(check)

GREEN = ["===== 3 passed, 1 skipped in 0.10s =====", "  unit: OK (1.00 seconds)", "  lint: OK (1.00 seconds)"]
RED_TESTS = ["== 1 failed, 2 passed, 2 errors in 61.20s (0:01:01) ==", "  unit: FAIL code 1 (1.00 seconds)"]
RED_LINT = ["===== 3 passed in 0.10s =====", "  unit: OK (1.00 seconds)", "  lint: FAIL code 1 (1.00 seconds)"]


def run(monkeypatch: pytest.MonkeyPatch, lines: list[str], code: int) -> int:
    monkeypatch.setattr(check.subprocess, "run", lambda *_, **__: None)
    monkeypatch.setattr(check, "lines_of", lambda _: [*lines, code])
    return check.main([])


@pytest.mark.parametrize(
    ("lines", "code", "exit_code", "words"),
    [
        (GREEN, 0, 0, " 3 passed, 1 skipped in "),
        (RED_TESTS, 1, 1, " 1 failed, 2 passed, 2 errors in "),
        (RED_LINT, 1, 1, " 3 passed, 1 error in "),
        (RED_TESTS + RED_LINT, 1, 1, " 1 failed, 5 passed, 3 errors in "),
        (["tox: no such configuration"], 2, 1, " 1 error in "),
        (GREEN, -9, 1, " 3 passed, 1 skipped, 1 error in "),
    ],
)
def test_closing_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lines: list[str],
    code: int,
    exit_code: int,
    words: str,
) -> None:
    assert run(monkeypatch, lines, code) == exit_code
    assert words in capsys.readouterr().out.splitlines()[-1]
