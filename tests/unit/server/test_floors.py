"""The floors of the house: what a reader is told is what the linter holds, and every room stands on one of them."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import heldout_server

ROOT = Path(__file__).parents[3]
NAME = re.compile(r"[a-z_]+")


def linted_floors() -> list[set[str]]:
    """Return the rooms of each floor as import-linter knows them, from the top."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter", encoding="utf-8")
    layers = parser["importlinter:contract:floors"]["layers"].split("\n")
    return [{one.strip().removeprefix("heldout_server.") for one in line.split("|")} for line in layers if line]


def told_floors() -> list[set[str]]:
    """Return the rooms of each floor as the package's docstring has them: what stands before two spaces."""
    text = heldout_server.__doc__ or ""
    lines = [line.strip() for line in text.split("::\n\n")[1].split("\n\n")[0].split("\n")]
    return [set(NAME.findall(line.split("  ")[0])) for line in lines]


def test_the_floors_that_a_reader_is_told_are_those_that_the_linter_holds() -> None:
    assert told_floors() == linted_floors()


def test_every_room_stands_on_a_floor() -> None:
    inside = Path(heldout_server.__path__[0]).iterdir()
    rooms = {path.stem for path in inside if path.suffix == ".py" or (path / "__init__.py").exists()} - {"__init__"}
    assert set().union(*linted_floors()) == rooms
