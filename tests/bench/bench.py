"""Measure what the appliance promises of its speed and size: ``make bench``.

Ratios are of product to baseline, taken in turns in one run on this machine; figures are medians of several rounds.
Each area runs in a process of its own. The table goes to standard output, the same to ``build/bench.json``. A figure
that misses its target is shown, and is no error: what a machine reaches depends on the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import Effort, Row, Target, progress
from rich.console import Console
from rich.table import Table

AREAS = {
    "trials": ("bench_trials", "measure"),
    "memory": ("bench_trials", "measure_memory"),
    "bank": ("bench_bank", "measure"),
    "cards": ("bench_bank", "measure_gate"),
    "findings": ("bench_findings", "measure"),
    "release": ("bench_release", "measure"),
    "audit": ("bench_audit", "measure"),
    "start": ("bench_start", "measure"),
    "judge": ("bench_judge", "measure"),
}
RESULTS = Path(__file__).resolve().parents[2] / "build" / "bench.json"
ROWS_FILE = "HELDOUT_BENCH_ROWS"
LARGE = 100


def main() -> int:
    """Run the areas asked for, show the table, write the results; return 1 if an area failed to run."""
    parser = argparse.ArgumentParser(description="Benchmarks of Heldout.")
    parser.add_argument("--only", choices=AREAS, action="append", help="an area; may be repeated; all by default")
    parser.add_argument("--quick", action="store_true", help="a smoke run: do the benchmarks run at all?")
    options = parser.parse_args()
    if ROWS_FILE in os.environ:
        _measure(options.only[0], Effort(options.quick), Path(os.environ[ROWS_FILE]))
        return 0
    began = time.monotonic()
    rows: list[Row] = []
    failed = []
    names = options.only or list(AREAS)
    for number, name in enumerate(names, start=1):
        progress(f"[{number}/{len(names)}] {name}, {time.monotonic() - began:.0f} s so far")
        found = _run_area(name, quick=options.quick)
        failed += [] if found else [name]
        rows += found
    progress("")
    _show(rows)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([row.document() for row in rows], indent=1) + "\n", encoding="utf-8")
    console = Console(highlight=False)
    console.print(f"{len(rows)} rows in {time.monotonic() - began:.0f} s, written to {os.path.relpath(RESULTS)}")
    if options.quick:
        console.print("A quick run says that the benchmarks run; its figures mean little.")
    for name in failed:
        console.print(f"{name} did not run to its end", style="bold red")
    return 1 if failed else 0


def _run_area(name: str, *, quick: bool) -> list[Row]:
    with tempfile.NamedTemporaryFile(prefix="heldout-bench-", suffix=".json") as file:
        command = [sys.executable, __file__, "--only", name, *(["--quick"] if quick else [])]
        done = subprocess.run(command, env={**os.environ, ROWS_FILE: file.name}, check=False)
        content = Path(file.name).read_text(encoding="utf-8")
    if done.returncode or not content:
        return []
    return [
        Row(**{**row, "target": None if row["target"] is None else Target(**row["target"])})
        for row in json.loads(content)
    ]


def _measure(name: str, effort: Effort, rows_file: Path) -> None:
    module, function = AREAS[name]
    rows = asyncio.run(getattr(importlib.import_module(module), function)(effort))
    rows_file.write_text(json.dumps([dataclasses.asdict(row) for row in rows]), encoding="utf-8")


def _show(rows: list[Row]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("name")
    for column in ("value", "baseline", "ratio"):
        table.add_column(column, justify="right")
    for column in ("unit", "target", ""):
        table.add_column(column)
    for row in rows:
        style = "bold red" if row.verdict == "NOT MET" else None
        figures = (_figure(row.value), _figure(row.baseline), "" if row.ratio is None else f"{row.ratio:.2f}")
        table.add_row(row.name, *figures, row.unit, str(row.target or ""), row.verdict, style=style)
    Console(width=max(Console().width, 180), highlight=False).print(table)


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= LARGE else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
