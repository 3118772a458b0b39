"""Plant every weakness in turn and print what caught it: ``make mutants``.

::

    python tests/mutants/run.py [--only NAME …] [--list]

It exits with 1 if a weakness was missed. The table is written to ``build/mutants.txt`` too.
"""

from __future__ import annotations

import argparse
import queue
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from planting import ROOT, Copy, Outcome, Result, Weakness, try_out
from weaknesses import WEAKNESSES

WORKERS = 2
WIDTH = 80
NAME_WIDTH = 26


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(description="Plant weaknesses one by one and see what catches them.")
    parser.add_argument("--only", action="append", metavar="NAME", help="this weakness; may be repeated")
    parser.add_argument("--list", action="store_true", help="say what there is, and plant nothing")
    options = parser.parse_args(arguments)
    chosen = [one for one in WEAKNESSES if not options.only or one.name in options.only]
    if unknown := set(options.only or ()) - {one.name for one in chosen}:
        parser.error(f"no weakness is called {', '.join(sorted(unknown))}: --list says what there is")
    if options.list:
        print("\n".join(f"{one.name:{NAME_WIDTH}}  {one.says}" for one in chosen))
        return 0
    results = run(chosen)
    lines = [line for result in results for line in row(result)]
    missed = [result for result in results if result.outcome is not Outcome.CAUGHT]
    lines.append(f"{len(results) - len(missed)} of {len(results)} planted weaknesses were caught")
    print("\n".join(lines))
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "mutants.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 1 if missed else 0


def run(chosen: Sequence[Weakness]) -> list[Result]:
    """Try weaknesses out, some at a time, each in a copy of its own."""
    with tempfile.TemporaryDirectory(prefix="heldout-mutants-") as folder:
        copies: queue.Queue[Copy] = queue.Queue()
        for number in range(min(WORKERS, len(chosen))):
            copies.put(Copy(Path(folder) / str(number)))

        def one(weakness: Weakness) -> Result:
            copy = copies.get()
            try:
                result = try_out(weakness, copy)
            finally:
                copies.put(copy)
            sys.stderr.write(f"{result.outcome:8} {weakness.name} ({result.seconds:.0f} s)\n")
            return result

        with ThreadPoolExecutor(max_workers=WORKERS) as pool:
            return list(pool.map(one, chosen))


def row(result: Result) -> list[str]:
    """Return the lines of one result: what was planted, and what caught it."""
    first = f"{result.weakness.name:{NAME_WIDTH}}  {result.outcome:7}  "
    said = textwrap.wrap(result.weakness.says, WIDTH - len(first)) or [""]
    lines = [first + said[0], *(" " * len(first) + more for more in said[1:])]
    return [*lines, *textwrap.wrap(result.by, WIDTH, initial_indent="    ", subsequent_indent="      ")]


if __name__ == "__main__":
    sys.exit(main())
