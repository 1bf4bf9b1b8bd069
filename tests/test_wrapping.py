"""Wrapped designs: the files fit each other, as yosys, Verilator, a YAML reader, Python and a C compiler see them."""

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from espalier.boards.host.c_header import registers_header
from espalier.boards.wrapping.ports import ports_of
from espalier.boards.wrapping.wrap import BUSES, write_wrapped
from espalier.boards.yosys import run_yosys
from espalier.errors import PlanError
from espalier.flow import cli
from espalier.hw.link.linked import digest_of
from espalier.hw.link.registers import OF_STREAMS, REGISTERS
from espalier.sim.tools import find_verilator
from simulations import two_layers
from small_models import write_mlp

CASES = [(bus, interface) for bus in BUSES for interface in ("stream", "axi-stream")]


@pytest.fixture(scope="module", params=CASES, ids=[f"{bus}-{interface}" for bus, interface in CASES])
def wrapped(request, tmp_path_factory):
    """Folder, design, bus, and the module of the wrapper."""
    (bus, interface), folder = request.param, tmp_path_factory.mktemp("wrapped")
    design = two_layers(interface)
    write_wrapped(design, design.verilog(), bus, folder, baud=1_000_000, clock_mhz=50)
    is_bare = bus == interface == "axi-stream"
    return folder, design, bus, design.top if is_bare else f"{design.top}_{bus.replace('-', '_')}"


def ports_of_verilog(folder, module):
    """(name, is input, width) of the module in ``folder``."""
    text = (folder / f"{module}.v").read_text().split(f"module {module}(")[1].split("endmodule")[0]
    found = re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", text, re.MULTILINE)
    return {(name, way == "input", int(high or 0) + 1) for way, high, name in found}


def test_the_core_is_written_as_it_was_generated(wrapped):
    folder, design, _, _ = wrapped
    assert (folder / f"{design.top}.v").read_text() == design.verilog()


def test_ports_are_those_of_the_verilog(wrapped):
    folder, design, bus, module = wrapped
    known = {(port.name, port.is_input, port.width) for port in ports_of(design, bus)}
    assert known == ports_of_verilog(folder, module)


@pytest.mark.synth
def test_instance_and_sources_fit(wrapped):
    folder, _, _, module = wrapped
    template = (folder / f"{module}_instance.v").read_text()
    (folder / "user.v").write_text(f"module user;\n{template}endmodule\n")
    sources = " ".join(yaml.safe_load((folder / f"{module}.core").read_text())["filesets"]["rtl"]["files"])
    run_yosys(f"read_verilog {sources} user.v; hierarchy -check -top user; proc", folder, "user.log", 60)


@pytest.mark.verilator
def test_the_lint_target_of_the_core_file_passes(wrapped):
    folder, _, _, module = wrapped
    core = yaml.safe_load((folder / f"{module}.core").read_text())
    target, root = core["targets"]["lint"], find_verilator()
    tool = target["tools"]["verilator"]
    command = [root / "bin" / "verilator_bin", f"--{tool['mode']}", *tool["verilator_options"]]
    command += ["--top-module", target["toplevel"], *core["filesets"]["rtl"]["files"]]
    done = subprocess.run(command, cwd=folder, env={"VERILATOR_ROOT": str(root)}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_header_holds_the_digest_and_compiles(wrapped):
    folder, design, _, _ = wrapped
    octets = ", ".join(f"0x{byte:02X}" for byte in digest_of(design.verilog()))
    assert f"#define {design.top.upper()}_DIGEST {{{octets}}}" in (folder / f"{design.top}.h").read_text()
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-xc"]
    subprocess.run(["gcc", *strict, f"{design.top}.h"], cwd=folder, check=True, timeout=60)


def test_the_litex_example_connects_every_port(tmp_path):
    design = two_layers()
    write_wrapped(design, design.verilog(), "wishbone", tmp_path, baud=1, clock_mhz=1)
    tree = ast.parse((tmp_path / "two_layers_wishbone_litex.py").read_text())
    (instance,) = (one for one in ast.walk(tree) if isinstance(one, ast.Call) and ast.unparse(one.func) == "Instance")
    connected = {(word.arg[2:], word.arg[0] == "i") for word in instance.keywords}
    assert connected == {(name, is_in) for name, is_in, _ in ports_of_verilog(tmp_path, "two_layers_wishbone")}
    (sources,) = (ast.literal_eval(one.value) for one in tree.body if isinstance(one, ast.Assign))
    assert sources == ("two_layers.v", "two_layers_wishbone.v")


def test_registers_of_the_header_are_those_of_the_table(tmp_path):
    names = {one: f"ESPALIER_AT_{one.name}{'(3)' if one in OF_STREAMS else ''}" for one in REGISTERS}
    (tmp_path / "registers.c").write_text(registers_header() + "\n".join(names.values()))
    done = subprocess.run(["gcc", "-E", "-P", "registers.c"], cwd=tmp_path, capture_output=True, text=True, check=True)
    values = [int(re.findall(r"0x\w+", line)[0], 16) for line in done.stdout.splitlines()]
    assert values == [4 * one.address for one in REGISTERS]
    assert done.stdout.count("+ 4 * (3)") == len(OF_STREAMS)


def test_registers_of_the_documentation_are_those_of_the_table():
    lines = (Path(__file__).resolve().parents[1] / "docs" / "link.md").read_text().splitlines()
    rows = [
        f"| `0x{4 * one.address:02X}{' + 4n' * (one in OF_STREAMS)}` | {one.name} | {one.access} | {one.text} |"
        for one in REGISTERS
    ]
    assert [line for line in lines if line.startswith("| `0x")] == rows


def test_an_unknown_bus_is_an_error(tmp_path):
    with pytest.raises(PlanError, match="--bus 'i2c' is unknown; known: uart, spi, wishbone, axi-stream"):
        write_wrapped(two_layers(), "", "i2c", tmp_path, baud=1, clock_mhz=1)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    folder = tmp_path_factory.mktemp("build")
    model = write_mlp(folder / "small.onnx")
    assert cli.run(["import", str(model), "-o", str(folder / "b")]) == 0
    assert cli.run(["plan", str(folder / "b"), "--clock-mhz", "40"]) == 0
    assert cli.run(["generate", str(folder / "b")]) == 0
    return folder / "b"


def test_the_verb_writes_what_it_names(build, tmp_path, capsys):
    assert cli.run(["wrap", str(build), "--bus", "wishbone", "-o", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(found["files"]) == sorted(path.name for path in (tmp_path / "out").iterdir())
    assert (tmp_path / "out" / "small_2.v").read_bytes() == (build / "generate" / "small_2.v").read_bytes()


def test_the_uart_is_divided_from_the_plans_clock(build, tmp_path, capsys):
    command = ["wrap", str(build), "--bus", "uart", "-o", str(tmp_path / "out"), "--baud", "6000000"]
    assert cli.run(command) == 2
    assert "6.67 cycles of 40 MHz" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert cli.run([*command, "--clock-mhz", "60"]) == 0


def test_a_file_in_the_place_of_the_folder_is_an_error(build, tmp_path, capsys):
    (tmp_path / "out").write_text("mine")
    assert cli.run(["wrap", str(build), "--bus", "spi", "-o", str(tmp_path / "out")]) == 2
    assert "is a file, need a folder to write to; choose another --output" in capsys.readouterr().err
