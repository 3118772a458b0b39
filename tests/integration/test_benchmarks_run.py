"""Do the benchmarks still fit what they measure? A smoke run of each; its figures mean nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench" / "bench.py"
AREAS = ("trials", "memory", "bank", "cards", "findings", "release", "audit", "start", "judge")


@pytest.mark.slow
@pytest.mark.parametrize("area", AREAS)
def test_a_benchmark_runs_to_its_end_and_has_figures(tmp_path, area):
    rows = tmp_path / "rows.json"
    command = [sys.executable, str(BENCH), "--only", area, "--quick"]
    done = subprocess.run(
        command, env={**os.environ, "HELDOUT_BENCH_ROWS": str(rows)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(row["value"] > 0 for row in json.loads(rows.read_text(encoding="utf-8")))


def test_every_area_is_tried():
    shown = subprocess.run([sys.executable, str(BENCH), "--help"], capture_output=True, text=True, check=True).stdout
    assert "{" + ",".join(AREAS) + "}" in shown.replace("\n", "").replace(" ", "")
