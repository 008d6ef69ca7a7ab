"""The wheel holds all that the checkout has, and works where there is no checkout."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("LICENSE", "README.md", "opsfix", "pyproject.toml", "runbooks", "setup.cfg", "sql")
SHIPPED = {"opsfix": "**/*.py", "sql": "*.sql", "runbooks": "*.md"}


def run(*command: object, cwd: Path) -> str:
    """The output of a command that knows nothing of this checkout or this environment."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by way of the source archive from a copy: a stale build/ must not find its way in."""
    copy = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, copy / name)
    run(sys.executable, "-m", "build", "--outdir", copy / "dist", copy, cwd=copy)
    [built] = (copy / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the programs of a new environment that holds the wheel and what it requires."""
    home = tmp_path_factory.mktemp("empty")
    venv.create(home, with_pip=True)
    run(home / "bin" / "pip", "install", "--quiet", wheel, cwd=home)
    return home / "bin"


@pytest.mark.parametrize(("folder", "pattern"), SHIPPED.items())
def test_every_file_of_the_tree_is_in_the_wheel(wheel: Path, folder: str, pattern: str) -> None:
    tree = {str(path.relative_to(ROOT / folder)) for path in (ROOT / folder).glob(pattern)}
    prefix = "opsfix/" if folder == "opsfix" else f"opsfix/{folder}/"
    names = (name.removeprefix(prefix) for name in zipfile.ZipFile(wheel).namelist() if name.startswith(prefix))
    suffix = Path(pattern).suffix
    assert {name for name in names if name.endswith(suffix) and not name.startswith(("sql/", "runbooks/"))} == tree
    assert tree


def test_the_wheel_brings_its_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.endswith("LICENSE")]


def test_the_command_works_from_another_directory(installed: Path, tmp_path: Path) -> None:
    assert "Usage: opsfix" in run(installed / "opsfix", "--help", cwd=tmp_path)
    version = run(installed / "python", "-c", "import opsfix; print(opsfix.__version__)", cwd=tmp_path).strip()
    assert version in run(installed / "opsfix", "--version", cwd=tmp_path)


def test_the_installed_package_finds_its_sql(installed: Path, tmp_path: Path) -> None:
    count = "import opsfix, pathlib; print(len(list((pathlib.Path(opsfix.__file__).parent / 'sql').glob('*.sql'))))"
    assert int(run(installed / "python", "-c", count, cwd=tmp_path)) == len(list((ROOT / "sql").glob("*.sql")))
