"""The list of boards."""

import json

from ...boards.board import ENTRIES, find_board
from ..table import table

COLUMNS = ("board", "device", "lut", "ff", "bram_kbit", "dsp", "clock_mhz", "note")


def boards_verb(as_json: bool) -> None:
    from ...boards.families import family_of

    rows = []
    for name in ENTRIES:
        board = find_board(name)
        device = board.device
        memory = device.bram * family_of(device).block_kbit
        rows.append(
            {"board": name, "device": device.name, "lut": device.lut, "ff": device.ff, "bram_kbit": memory}
            | {"dsp": device.dsp, "clock_mhz": board.clock_mhz, "note": board.note}
        )
    print(json.dumps(rows, indent=2) if as_json else table(rows, COLUMNS))
