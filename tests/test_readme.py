"""The programs in the README and in the documents run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / name).read_text(), re.MULTILINE | re.DOTALL)


def run(program: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.verilator
def test_example_of_the_readme_runs_as_it_stands(tmp_path):
    (program,) = blocks("README.md", "python")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for name in ["hw", "sim"]:  # as many users have them
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the package of the user was imported')")
    assert "values_exact=True" in run(program, tmp_path)


def test_example_of_the_readme_is_short():
    (program,) = blocks("README.md", "python")
    assert len([line for line in program.splitlines() if line and "import " not in line]) <= 10


def test_timing_example_prints_what_the_document_says(tmp_path):
    (program,), (output,) = blocks("docs/stage-contract.md", "python"), blocks("docs/stage-contract.md", "text")
    assert run(program, tmp_path) == output


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#:]+)\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_commands_of_the_readme_exist():
    from espalier.flow.cli import app

    verbs = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    named = set(re.findall(r"^ +espalier (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert named and named <= verbs
