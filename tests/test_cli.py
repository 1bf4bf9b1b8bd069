import subprocess
import sys
import time

import pytest

from espalier.flow import cli

VERBS = [
    "train",
    "prune",
    "quantize",
    "import",
    "check",
    "plan",
    "generate",
    "simulate",
    "synth",
    "build",
    "execute",
    "report",
    "boards",
    "bitstream",
    "program",
    "run",
    "wrap",
]
HEAVY = ["torch", "numpy", "amaranth", "numba", "onnx", "cocotb", "rich", "scipy"]


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def loaded_after(code):
    return python(f"import sys\n{code}\nprint([name for name in {HEAVY} if name in sys.modules])").strip()


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_after("import espalier") == "[]"


def test_importing_the_command_line_loads_nothing_heavy():
    assert loaded_after("import espalier.flow.cli") == "[]"


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_each_verb_loads_nothing_heavy_and_comes_at_once(verb):
    code = f"from espalier.flow.cli import run\nrun(['{verb}', '--help'])"
    start = time.monotonic()
    assert loaded_after(code).splitlines()[-1] == "[]"
    assert time.monotonic() - start < 2  # 0.2 s alone; the other tests run on the same cores


@pytest.mark.parametrize("verb", VERBS)
def test_every_flag_has_help(verb, capsys):
    cli.run([verb, "--help"])
    lines = capsys.readouterr().out.split("Options:")[1].splitlines()
    flags = [index for index, line in enumerate(lines) if line.lstrip().startswith("-")]
    assert flags
    for index in flags:
        text = lines[index][24:].strip() or lines[index + 1].strip()
        assert text and not text.startswith("-")


def test_no_arguments_print_the_help(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert all(verb in printed for verb in VERBS)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["plan"], "Missing argument 'BUILD'"),
        (["plan", "x", "--fps", "many"], "Invalid value for '--fps'"),
        (["plan", "x", "--colour"], "No such option: --colour"),
        (["paint"], "No such command 'paint'"),
    ],
)
def test_usage_errors_are_one_line_with_status_2(arguments, message, capsys):
    assert cli.run(arguments) == 2
    assert capsys.readouterr().err.startswith(f"espalier: error: {message}")


def test_the_public_face_names_what_it_has():
    import espalier

    with pytest.raises(AttributeError, match="no attribute 'paint'; it has .*generate"):
        _ = espalier.paint
    assert {"import_onnx", "plan", "generate", "simulate", "synthesize", "execute", "load"} <= set(dir(espalier))
