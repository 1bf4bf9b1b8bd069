"""Espalier beside da4ml and Alkaid on the same integer matrices: time, area before and after placing, clock, latency.

    python benchmarks/peers.py ../shared/data/peer_workloads.npz -o build/peers
    python benchmarks/peers.py ../shared/data/peer_workloads.npz -o build/peers --work A --rows da4ml,espalier

The peers are installed in an environment of their own in the output folder and run there as programs. Every result is
compared with numpy on random inputs, interpreted and in Verilator; a row with one wrong value is an error, and has no
figures. Each finished step is a file: a second call continues where the first was stopped. Seconds of generation are
those of one call, the rows of a work one after the other and that three times, so that their ratio means something, and
of the processor, since a busy machine tells little else; where one row has to be generated, all chosen rows of that
work are.

The table goes to standard output, and with everything else that is known to OUTPUT/peers.json.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from filelock import FileLock
from peers_environment import PINS, make_environment
from peers_mapping import Effort
from peers_rows import ROWS, STEPS, Bench, Row, Store, generate_row, generation_key, measure_row, store_of
from peers_table import format_table
from peers_work import Work, read_works

from espalier.errors import BuildError, EspalierError
from espalier.quant.files import write_json

ROUNDS = 3


def choose_rows(names: Sequence[str]) -> list[Row]:
    """Rows by their names or their generators."""
    known = {row.name for row in ROWS} | {row.generator for row in ROWS}
    if unknown := [name for name in names if name not in known]:
        raise BuildError(f"--rows: there is no row {unknown[0]!r}; rows: {', '.join(sorted(known))}")
    return [row for row in ROWS if row.name in names or row.generator in names]


def generate_all(bench: Bench, work: Work, rows: Sequence[Row], rounds: int) -> dict[str, str]:
    """Generate all ``rows`` unless each has been already; the errors, by row."""
    stores = {row: store_of(bench, work, row) for row in rows}
    if all(stores[row].read("generate", generation_key(work, row)) for row in rows):
        return {}
    session = f"{time.time():.0f}"
    errors: dict[str, str] = {}
    rounds_of: dict[Row, list[dict[str, Any]]] = {row: [] for row in rows}
    for _ in range(rounds):
        for row, found in rounds_of.items():
            if row.name in errors or (found and "stopped_after_s" in found[0]):
                continue
            try:
                found.append(_generate(bench, work, row, stores[row]))
            except EspalierError as error:
                errors[row.name] = str(error)
    for row, found in rounds_of.items():
        if row.name not in errors:
            _keep(stores[row], generation_key(work, row), session, found)
    return errors


def _generate(bench: Bench, work: Work, row: Row, store: Store) -> dict[str, Any]:
    folder = store.folder / "generate"
    shutil.rmtree(folder, ignore_errors=True)
    (store.folder / "generate.json").unlink(missing_ok=True)
    folder.mkdir()
    say(f"{work.name}: generating {row.name}")
    return generate_row(bench, work, row, folder)


def _keep(store: Store, key: str, session: str, rounds: Sequence[dict[str, Any]]) -> None:
    """One record of all rounds, with the median of their seconds."""
    record = {"key": key, "session": session} | rounds[-1]
    if "seconds" in record:
        every = [found["seconds"] for found in rounds]
        record |= {"seconds": median(every), "seconds_of_rounds": every, "cpu_s": median(f["cpu_s"] for f in rounds)}
    write_json(store.folder / "generate.json", record)


def compare(bench: Bench, work: Work, rows: Sequence[Row], steps: Sequence[str], rounds: int) -> list[dict[str, Any]]:
    """One record a row, in order; a row that failed has its error instead of figures."""
    records = []
    errors = {} if bench.only_reads else generate_all(bench, work, rows, rounds)
    for row in rows:
        record: dict[str, Any] = {"work": work.name, "row": row.name, "generator": row.generator}
        if row.name not in errors:
            try:
                say(f"{work.name}: measuring {row.name}")
                record |= measure_row(bench, work, row, steps)
            except EspalierError as error:
                errors[row.name] = str(error)
        if row.name in errors:
            say(f"{work.name}: {row.name}: {errors[row.name]}")
            record["error"] = errors[row.name]
        records.append(record)
    return records


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("works", type=Path, help="peer_workloads.npz")
    parser.add_argument("--work", default="A,B,C", help="names of works, with commas")
    parser.add_argument("--rows", default="da4ml,alkaid,espalier spatial", help="names, or generators")
    parser.add_argument("--steps", default=",".join(STEPS), help="what to measure")
    parser.add_argument("--limit-s", type=float, default=900.0, help="for one generation")
    parser.add_argument("--timeout-s", type=float, default=3600.0, help="for any other run of a tool")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="generations of each row")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="of the placer")
    parser.add_argument("--table", action="store_true", help="print what has been measured, and measure nothing")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    works, rows = read_works(options.works), choose_rows(options.rows.split(","))
    with FileLock(options.output / "lock"):
        environment = options.output / "environment"
        python = environment if options.table else make_environment(environment)
        effort = Effort(tuple(options.seeds), timeout_s=options.timeout_s)
        bench = Bench(options.works, options.output, python, effort, options.limit_s, options.table)
        records = []
        for name in options.work.split(","):
            records += compare(bench, works[name], rows, options.steps.split(","), options.rounds)
        about = {"date": time.strftime("%F", time.gmtime()), "cores": os.cpu_count(), "peers": PINS}
        write_json(options.output / "peers.json", about | {"rows": records})
    print(format_table(records))
    sys.exit(any("error" in record for record in records))


if __name__ == "__main__":
    main()
