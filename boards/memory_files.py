"""Contents of memories as files beside the Verilog: as statements, yosys takes minutes to read some ten thousand."""

import re
from pathlib import Path

# What Amaranth writes: one statement for each word, in order.
_WORD = re.compile(r"^    (?P<name>\\\S+ |\w+)\[(?P<place>\d+)\] = \d+'h(?P<digits>[0-9a-f]+);$")
_CONTENTS = re.compile(
    r"^  initial begin\n(?P<words>(?:    (?:\\\S+ |\w+)\[\d+\] = \d+'h[0-9a-f]+;\n)+)  end\n", re.MULTILINE
)

FEWEST_WORDS = 64


def move_contents(verilog: str, folder: Path) -> str:
    """``verilog`` with the contents of its larger memories in files memory0.hex, memory1.hex, ... of ``folder``, where
    it has to be read."""
    files = 0

    def move(found: re.Match[str]) -> str:
        nonlocal files
        words = [_WORD.match(line) for line in found["words"].splitlines()]
        assert all(word and int(word["place"]) == place for place, word in enumerate(words))
        if len(words) < FEWEST_WORDS:
            return found[0]
        path, files = folder / f"memory{files}.hex", files + 1
        path.write_text("".join(f"{word['digits']}\n" for word in words if word))
        name = words[0]["name"] if words[0] else ""
        return f'  initial $readmemh("{path.name}", {name});\n'

    return _CONTENTS.sub(move, verilog)
