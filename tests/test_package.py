"""The wheel: pure Python, with the catalogue inside, works from an empty folder and leaves it empty."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-c", BUILD, str(folder)], cwd=REPOSITORY, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the wheel alone is installed."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(site: Path, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a folder."""
    inside = dict(os.environ, PYTHONPATH=str(site), **environment)
    inside.pop("NUMBA_CACHE_DIR", None)
    return subprocess.run([sys.executable, "-P", "-m", "accelsim", *arguments], cwd=folder, env=inside, capture_output=True, text=True)


def test_wheel_is_pure_python_and_typed(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    assert "accelsim/py.typed" in zipfile.ZipFile(wheel).namelist()


def test_wheel_carries_every_description_of_the_repository(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        f"accelsim/catalogue/{path.relative_to(REPOSITORY).as_posix()}"
        for folder in ("workloads", "hw", "mappings", "campaigns", "evidence")
        for path in (REPOSITORY / folder).rglob("*.*")
        if path.suffix in {".yaml", ".csv"}
    }
    assert wanted and wanted <= held


def test_wheel_carries_data_files_of_the_package(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    for path in (REPOSITORY / "accelsim").rglob("*.*"):
        if path.suffix in {".css", ".js", ".json", ".lark", ".py"}:
            assert path.relative_to(REPOSITORY).as_posix() in held


def test_wheel_names_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        entry = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "accelsim = accelsim.cli:main" in archive.read(entry).decode()


def test_installed_command_lists_the_same_as_the_checkout(site: Path, tmp_path: Path) -> None:
    installed = run(site, tmp_path, "list", "workloads")
    checkout = run(REPOSITORY, tmp_path, "list", "workloads")
    assert (installed.returncode, installed.stderr) == (0, "")
    assert installed.stdout == checkout.stdout != ""
    assert list(tmp_path.iterdir()) == []


def test_installed_command_finds_synthesis_and_prices(site: Path, tmp_path: Path) -> None:
    installed, checkout = (run(each, tmp_path, "check", "mini") for each in (site, REPOSITORY))
    assert (installed.returncode, installed.stderr) == (0, "")
    assert installed.stdout == checkout.stdout and "in RTL npu_lane W=32" in installed.stdout


@pytest.mark.slow
def test_installed_command_maps_from_an_empty_folder_and_leaves_it_empty(site: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = run(site, empty, "map", "attention", "--arch", "spatial", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("attention on spatial")
    assert list(empty.iterdir()) == []
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["accelsim"]


@pytest.mark.slow
def test_cache_that_cannot_be_written_costs_time_and_nothing_else(site: Path, tmp_path: Path) -> None:
    done = run(site, Path("/proc"), "map", "matmul", "--arch", "simple", "-q", XDG_CACHE_HOME="/proc/nowhere")
    assert (done.returncode, done.stderr) == (0, "")
    assert not list((site / "accelsim").rglob("*.nbi"))
