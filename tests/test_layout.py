"""The rules of the house: imports run leftwards, nothing right of quant needs torch, and a few things are not done."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import espalier

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ["quant", "ir", "hw", "sim", "boards", "flow"]
EXTRAS = {
    "torch",
    "torchvision",
    "brevitas",
    "onnxscript",
    "onnxoptimizer",
    "sklearn",
    "qonnx",
    "onnxruntime",
    "pytest",
}
HEAVY = {"torch", "brevitas", "numpy", "numba", "onnx", "amaranth", "cocotb", "pyosys", "sklearn", "scipy"}
HEAVY |= (LAZY := {"optuna", "sqlalchemy", "dask", "distributed"})  # only explore needs them, once it is at work
FILES = sorted(
    [ROOT / "__init__.py", ROOT / "errors.py", *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))]
)
TREES = {str(path.relative_to(ROOT)): ast.parse(path.read_text(), str(path)) for path in FILES}


def nodes(kind: type) -> Iterator[tuple[str, ast.AST]]:
    return (
        (f"{name}:{node.lineno}", node) for name, tree in TREES.items() for node in ast.walk(tree) if type(node) is kind
    )


def imports() -> Iterator[tuple[str, str, int]]:
    """(where, module, level) of every import in the package."""
    for where, node in nodes(ast.Import):
        yield from ((where, alias.name, 0) for alias in node.names)
    for where, node in nodes(ast.ImportFrom):
        modules = [node.module] if node.module else [alias.name for alias in node.names]
        yield from ((where, module, node.level) for module in modules)


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    return ((where, ast.unparse(node.func), node) for where, node in nodes(ast.Call))


def python(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=120)


def test_imports_run_only_leftwards():
    wrong = []
    for where, module, level in imports():
        room, target = where.split("/")[0], module.split(".")[0]
        if level != where.count("/") + 1 or target == "errors":  # it stays inside the room
            continue
        if ROOMS.index(target) > ROOMS.index(room) or (room, target) == ("ir", "quant"):
            wrong.append(f"{where} imports {module}")
    assert wrong == []


def test_imports_inside_the_package_are_relative():
    own = {"espalier", "tests", *ROOMS}
    assert [where for where, module, level in imports() if level == 0 and module.split(".")[0] in own] == []


def test_relative_imports_stay_in_the_package():
    depth = {where: where.count("/") for where, _, _ in imports()}
    assert [where for where, _, level in imports() if level > depth[where] + 1] == []


def test_only_quant_names_torch_or_any_extra():
    wrong = [where for where, module, level in imports() if level == 0 and module.split(".")[0] in EXTRAS]
    assert [where for where in wrong if not where.startswith("quant/")] == []


def test_everything_right_of_quant_imports_without_the_extras(tmp_path):
    names = [name for name in TREES if "/" in name and not name.startswith("quant/")]
    modules = ["espalier." + name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in names]
    absent = sorted(EXTRAS - {"pytest"} | LAZY)  # cocotb itself needs pytest
    blocked = f"import sys; sys.modules.update(dict.fromkeys({absent}))"
    done = python(f"{blocked}; import importlib; [importlib.import_module(name) for name in {modules}]", tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["espalier", "espalier.flow.cli"])
def test_import_loads_nothing_heavy(module, tmp_path):
    done = python(f"import sys, {module}; print(*sorted(set(sys.modules) & {HEAVY}))", tmp_path)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


def test_public_names_exist():
    assert [name for name in espalier.__all__ if not hasattr(espalier, name)] == []


def test_public_names_are_listed_and_unknown_ones_refused():
    assert set(espalier.__all__) <= set(dir(espalier))
    with pytest.raises(AttributeError, match="espalier.*nonsense"):
        _ = espalier.nonsense


@pytest.mark.parametrize("command", [["-m", "espalier.flow.cli", "--help"], ["-c", "import espalier.sim, espalier.hw"]])
def test_works_beside_packages_called_sim_and_hw(command, tmp_path):
    for name in [*ROOMS, "errors"]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise RuntimeError('imported the {name} of the user')")
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_no_pickle():
    modules = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    wrong = [where for where, module, _ in imports() if module.split(".")[0] in modules]
    wrong += [where for where, name, _ in calls() if name in {"torch.load", "torch.save", "eval", "exec"}]
    allowing = [(where, word) for where, _, call in calls() for word in call.keywords if word.arg == "allow_pickle"]
    assert wrong + [where for where, word in allowing if ast.unparse(word.value) != "False"] == []


def test_environment_and_working_directory_are_neither_read_nor_changed():
    """Passing ``os.environ`` as a whole on to a tool is the only use of it."""
    wrong = [
        where for where, name, _ in calls() if re.fullmatch(r"os\.(getenv|putenv|unsetenv|chdir|environ\.\w+)", name)
    ]
    wrong += [where for where, node in nodes(ast.Subscript) if ast.unparse(node.value) == "os.environ"]
    assert [where for where in wrong if "os.environ.copy()" not in source_line(where)] == []


def source_line(where: str) -> str:
    name, line = where.rsplit(":", 1)
    return (ROOT / name).read_text().splitlines()[int(line) - 1]


def test_nothing_is_left_unfinished():
    wrong = [where for where, node in nodes(ast.Raise) if node.exc and "NotImplementedError" in ast.unparse(node.exc)]
    words = re.compile(r"\b(TODO|FIXME|XXX)\b")
    assert wrong + [str(path.relative_to(ROOT)) for path in FILES if words.search(path.read_text())] == []


def test_no_blind_except_and_no_bare_exception():
    wrong = [where for where, node in nodes(ast.ExceptHandler) if node.type is None]
    raised = [(where, ast.unparse(node.exc)) for where, node in nodes(ast.Raise) if node.exc]
    assert wrong + [where for where, text in raised if re.match(r"(Base)?Exception\b", text)] == []


def test_every_file_opens_with_a_sentence():
    assert [name for name, tree in TREES.items() if not (ast.get_docstring(tree) or "").strip()] == []


def test_no_file_is_longer_than_400_lines():
    files = [*FILES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    assert [f"{path.relative_to(ROOT)}" for path in files if len(path.read_text().splitlines()) > 400] == []


def test_no_machine_paths():
    suffixes = {".py", ".md", ".toml", ".txt", ".v", ".sv", ".json", ".in"}
    folders = [ROOT / name for name in [*ROOMS, "tests", "benchmarks", "docs", "examples"]]
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in suffixes]
    files += [path for path in ROOT.iterdir() if path.suffix in suffixes or path.name == "Makefile"]
    pattern = re.compile(r"(?<![\w.])/(home|root|work|Users|opt)/")
    assert [
        str(path.relative_to(ROOT)) for path in files if path != Path(__file__) and pattern.search(path.read_text())
    ] == []


def test_every_dependency_has_its_reason_and_its_pin():
    text = (ROOT / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]
    pins = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    for requirement in [
        *project["dependencies"],
        *(item for extra in project["optional-dependencies"].values() for item in extra),
    ]:
        name = re.match(r"[\w.-]+", requirement)
        assert name and name[0] in pins, f"{requirement} is not in constraints.txt"
        assert re.search(rf'^\s+"{re.escape(requirement)}",\s+# \w+', text, re.MULTILINE), (
            f"{requirement} has no reason"
        )
