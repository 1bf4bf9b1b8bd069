"""The wheel holds every file of every room and nothing else, and is importable on its own."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {"quant", "ir", "hw", "sim", "boards", "flow"}


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("needs git and a clone: the wheel is built from the tracked files")
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tracked, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    for name in tracked:
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / "source" / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "-w", ".", "./source"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def contents(wheel) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_wheel_holds_every_file_of_every_room(tracked, contents):
    assert {f"espalier/{name}" for name in tracked if name.split("/")[0] in ROOMS} - contents == set()
    assert {"espalier/__init__.py", "espalier/errors.py"} <= contents


def test_wheel_holds_nothing_else(contents):
    own = {name for name in contents if ".dist-info/" not in name}
    outside = {name for name in own if name.split("/")[1] not in ROOMS}
    assert outside == {"espalier/__init__.py", "espalier/errors.py"}


def test_wheel_has_license_and_command(wheel):
    archive = zipfile.ZipFile(wheel)
    entries = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert "espalier = espalier.flow.cli:main" in archive.read(entries).decode()
    assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())


def test_wheel_is_importable_on_its_own(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = "import espalier, espalier.flow.cli; print(espalier.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == str(tmp_path / "espalier" / "__init__.py"), done.stderr
