"""Plant one weakness at a time into a copy of the sources, and see whether a test notices.

A guard that no test misses when it is gone is a guard that nobody would miss. Each weakness replaces one piece of text
in one file. The tests named for it pass on the untouched copy and must fail, as tests do, on the weakened one: a copy
that cannot even be imported proves nothing.
"""

from __future__ import annotations

import ast
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ("client", "policy", "proto", "server", "tests", "scripts", "demo", "docs", "deploy", "requirements")
PASSED, FAILED = 0, 1
"""What pytest exits with; anything else is neither."""

TIMEOUT_S = 300
SHORT = 52


class Outcome(StrEnum):
    """Say what became of a weakness."""

    CAUGHT = "caught"
    MISSED = "MISSED"
    UNSOUND = "UNSOUND"  # its tests did not run, or fail without it too


@dataclass(frozen=True, slots=True, kw_only=True)
class Weakness:
    """Describe a weakness to be planted.

    Attributes:
        name: short, with dashes.
        says: what is weak then, in a few words.
        file: where, from the root of the sources.
        old: the text that is replaced; it stands there once.
        new: what stands there instead.
        tests: pytest's names of what must fail.
        generate: the contract's code is generated anew from what was changed.
    """

    name: str
    says: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    generate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Say how one weakness fared: the first test that failed, or why nothing is known."""

    weakness: Weakness
    outcome: Outcome
    by: str
    seconds: float


class Copy:
    """Hold a copy of the sources, whole but for what is planted at the moment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in SOURCES:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        for file in (*ROOT.glob("*.md"), ROOT / "pyproject.toml", ROOT / "Makefile"):
            shutil.copy(file, folder)

    def test(self, names: Sequence[str]) -> tuple[int, str]:
        """Run tests on the copy; return what pytest exits with, and the first failure or the last line."""
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", "--tb=no", *names]
        places = (str(self.folder / part) for part in ("client", "policy", "proto", "server"))
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            return -1, f"no end after {TIMEOUT_S} s"
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        failed = next((line.split(" ", 1)[1] for line in lines if line.startswith("FAILED ")), "")
        return done.returncode, failed.split(" - ")[0] or (lines[-1] if lines else done.stderr.strip()[-SHORT:])

    @contextlib.contextmanager
    def planted(self, weakness: Weakness) -> Iterator[None]:
        """Plant a weakness, and take it out again."""
        file = self.folder / weakness.file
        whole = file.read_text(encoding="utf-8")
        try:
            file.write_text(weaken(whole, weakness), encoding="utf-8")
            self._generate(weakness)
            yield
        finally:
            file.write_text(whole, encoding="utf-8")
            self._generate(weakness)

    def _generate(self, weakness: Weakness) -> None:
        if weakness.generate:
            subprocess.run([sys.executable, "scripts/generate_proto.py"], cwd=self.folder, check=True)


def weaken(whole: str, weakness: Weakness) -> str:
    """Return a file's text with a weakness in it.

    Raises:
        ValueError: the text to be replaced does not stand there once, or what comes out is no Python.
    """
    if (times := whole.count(weakness.old)) != 1:
        raise ValueError(f"{weakness.name}: its text stands {times} times in {weakness.file}")
    weakened = whole.replace(weakness.old, weakness.new)
    if weakness.file.endswith(".py"):
        ast.parse(weakened)
    return weakened


def try_out(weakness: Weakness, copy: Copy) -> Result:
    """Plant a weakness and run its tests, without it and with it."""
    began = time.monotonic()

    def result(outcome: Outcome, by: str) -> Result:
        return Result(weakness=weakness, outcome=outcome, by=by, seconds=time.monotonic() - began)

    code, line = copy.test(weakness.tests)
    if code != PASSED:
        return result(Outcome.UNSOUND, f"without it: {line}")
    with copy.planted(weakness):
        code, line = copy.test(weakness.tests)
    if code == PASSED:
        return result(Outcome.MISSED, "every test passed")
    return result(Outcome.CAUGHT, line) if code == FAILED else result(Outcome.UNSOUND, line)
