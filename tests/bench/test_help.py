"""``opsfix --help`` is as quick as click lets it be."""

from __future__ import annotations

import sys

from tests.bench.measuring import OPSFIX, Report, alternately, measure, middle

HEAVY = {"cinderclient", "keystoneauth1", "novaclient", "openstack", "oslo_config", "pymysql", "requests", "sqlalchemy", "yaml"}
_LIST = """
import sys
from opsfix.cli import main
sys.argv = ["opsfix", "--help"]
try:
    main()
finally:
    print(*sorted({m.partition(".")[0] for m in sys.modules}), file=sys.stderr)
"""


def test_help(report: Report) -> None:
    """Nothing of OpenStack's or the databases' clients is imported for it."""
    opsfix, click, python = alternately(
        10,
        lambda: measure([OPSFIX, "--help"]),
        lambda: measure([sys.executable, "-c", "import click"]),
        lambda: measure([sys.executable, "-c", "pass"]),
    )
    report.title("opsfix --help, median of 10")
    report.figure("wall", middle(opsfix), " s", digits=3, most=0.1)
    report.figure("python -c 'import click'", middle(click), " s", digits=3)
    report.figure("python -c pass", middle(python), " s", digits=3)
    report.figure("opsfix --help : import click", middle(opsfix) / middle(click), most=3)
    imported = set(measure([sys.executable, "-c", _LIST]).err.split())
    assert "click" in imported
    assert not imported & HEAVY
