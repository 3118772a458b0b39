"""Every planted weakness still has its place in the sources, and tests that are named as they are."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "mutants"))

from planting import weaken  # noqa: E402 - a command's folder, on the path since the line above
from weaknesses import WEAKNESSES  # noqa: E402 - likewise

LEAST = 25


@pytest.mark.parametrize("weakness", WEAKNESSES, ids=lambda weakness: weakness.name)
def test_it_can_be_planted(weakness):
    whole = (ROOT / weakness.file).read_text(encoding="utf-8")
    assert weaken(whole, weakness) != whole
    assert weakness.tests
    for test in weakness.tests:
        file, _, name = test.partition("::")
        assert (ROOT / file).exists()
        assert name.partition("[")[0] in (ROOT / file).read_text(encoding="utf-8") if name else True


def test_there_are_many_and_each_has_a_name_of_its_own():
    assert len(WEAKNESSES) >= LEAST
    assert len({weakness.name for weakness in WEAKNESSES}) == len(WEAKNESSES)
