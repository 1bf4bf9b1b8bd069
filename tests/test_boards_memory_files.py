import json

import pytest
from amaranth.back import verilog
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from espalier.boards.memory_files import FEWEST_WORDS, move_contents
from espalier.boards.yosys import run_yosys
from espalier.hw.memory import Rom


class TwoRoms(wiring.Component):
    """A memory to move and one to leave."""

    address: In(range(FEWEST_WORDS))
    large: Out(9)
    small: Out(9)

    def elaborate(self, platform):
        m = Module()
        words = [37 * place % 509 for place in range(FEWEST_WORDS)]
        m.submodules.large = large = Rom(words, 9, "lut")
        m.submodules.small = small = Rom(words[: FEWEST_WORDS // 2], 9, "lut")
        m.d.comb += [rom.address.eq(self.address) for rom in (large, small)]
        m.d.comb += [self.large.eq(large.word), self.small.eq(small.word)]
        return m


@pytest.fixture
def text():
    return verilog.convert(TwoRoms(), name="top", emit_src=False, strip_internal_attrs=True)


def test_contents_of_large_memories_become_files(text, tmp_path):
    moved = move_contents(text, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["memory0.hex"]
    assert '$readmemh("memory0.hex", ' in moved and moved.count("initial begin") == text.count("initial begin") - 1
    words = [int(line, 16) for line in (tmp_path / "memory0.hex").read_text().split()]
    assert words == [37 * place % 509 for place in range(FEWEST_WORDS)]


@pytest.mark.synth
def test_the_netlist_stays_the_same(text, tmp_path):
    found = []
    for name in ("before", "after"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "design.v").write_text(move_contents(text, folder) if name == "after" else text)
        run_yosys("read_verilog -sv design.v; synth_ecp5 -top top; write_json netlist.json", folder, "log", 100)
        cells = json.loads((folder / "netlist.json").read_text())["modules"]["top"]["cells"].values()
        found.append(sorted((cell["type"], sorted(cell["parameters"].items())) for cell in cells))
    assert found[0] == found[1] and len(found[0]) > 9
