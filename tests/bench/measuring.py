"""What every benchmark reports, and how product and baseline take turns.

Each area is measured in a process of its own, so that one's memory and caches are not another's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

KIB = 1024


@dataclass(frozen=True, slots=True)
class Target:
    """Say what a figure must reach: the value itself, or its ratio to the baseline."""

    of: Literal["value", "ratio"]
    sign: Literal[">=", "<="]
    bound: float

    def __str__(self) -> str:
        return f"{self.of} {self.sign} {self.bound:,g}"

    def met(self, row: Row) -> bool:
        figure = row.value if self.of == "value" else row.ratio
        return figure is not None and (figure >= self.bound if self.sign == ">=" else figure <= self.bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Hold one result. A row without a target is there to be read beside another."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        return self.value / self.baseline if self.baseline else None

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        return "met" if self.target.met(self) else "NOT MET"

    def document(self) -> dict[str, object]:
        """Return the row as ``build/bench.json`` holds it."""
        fields = {name: getattr(self, name) for name in ("name", "value", "baseline", "ratio", "unit")}
        return {**fields, "target": "" if self.target is None else str(self.target)}


@dataclass(frozen=True, slots=True)
class Effort:
    """Say how much to measure: all of it, or a smoke run whose figures mean little."""

    quick: bool

    def pick(self, full: int, quick: int) -> int:
        return quick if self.quick else full


async def take_turns(
    product: Callable[[], Awaitable[float]], baseline: Callable[[], Awaitable[float]], *, rounds: int, what: str
) -> tuple[float, float]:
    """Measure product and baseline in alternating rounds, after one of each that does not count; return the medians."""
    products: list[float] = []
    baselines: list[float] = []
    for number in range(rounds + 1):
        progress(f"{what}: round {number} of {rounds}" if number else f"{what}: warming up")
        gc.collect()
        figures = (await baseline(), await product())
        if number:
            baselines.append(figures[0])
            products.append(figures[1])
    return statistics.median(products), statistics.median(baselines)


def progress(text: str) -> None:
    """Write a line that the next one overwrites; in a pipe, lines one after another."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
    else:
        sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def memory_mib(field: str = "VmRSS", process: str = "self") -> float:
    """Return a figure in MiB of a process, this one by default: ``VmRSS`` (now) or ``VmHWM`` (at its highest)."""
    for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / KIB
    raise AssertionError(f"the kernel does not tell {field}")


def child_memory_mib(module: str) -> float:
    """Return the highest memory in MiB of a child of this process that runs a Python module; 0 if there is none."""
    for children in Path("/proc/self/task").glob("*/children"):
        for child in children.read_text(encoding="ascii").split():
            with contextlib.suppress(OSError):
                if module.encode() in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
                    return memory_mib("VmHWM", child)
    return 0.0


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder on the disk that the databases would lie on, with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="heldout-bench-") as folder:
        os.environ["XDG_STATE_HOME"] = folder  # where clients remember
        yield Path(folder)


@dataclass
class Stopwatch:
    """Measure seconds."""

    began: float = dataclasses.field(default_factory=time.perf_counter)

    def seconds(self) -> float:
        return time.perf_counter() - self.began
