"""Contents of memories as files beside the Verilog: as statements, yosys takes minutes to read some ten thousand."""

import re
from pathlib import Path

# What Amaranth writes: one statement for each word, in order.
_WORD = r"    (\\\S+ |\w+)\[(\d+)\] = \d+'h([0-9a-f]+);\n"
_CONTENTS = re.compile(rf"^  initial begin\n((?:{_WORD})+)  end\n", re.MULTILINE)

FEWEST_WORDS = 64


def move_contents(verilog: str, folder: Path) -> str:
    """``verilog`` with the contents of its larger memories in files memory0.hex, memory1.hex, ... of ``folder``, where
    it has to be read."""
    files = 0

    def move(found: re.Match[str]) -> str:
        nonlocal files
        names, places, contents = zip(*re.findall(_WORD, found[1]), strict=True)
        assert [int(place) for place in places] == list(range(len(places)))
        if len(places) < FEWEST_WORDS:
            return found[0]
        path, files = folder / f"memory{files}.hex", files + 1
        path.write_text("\n".join(contents) + "\n")
        return f'  initial $readmemh("{path.name}", {names[0]});\n'

    return _CONTENTS.sub(move, verilog)
