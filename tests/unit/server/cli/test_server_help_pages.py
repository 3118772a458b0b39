"""Every help page of ``heldout-server``: it fits a terminal, is whole, and shows what to type."""

from __future__ import annotations

import pytest
from typer.main import get_command

from heldout_server.cli.app import app


def walk(command, path=()):
    """Yield every command with its words, groups first."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, (*path, name))


COMMANDS = dict(walk(get_command(app)))
LEAVES = [path for path, command in COMMANDS.items() if not hasattr(command, "commands")]


@pytest.fixture(scope="module")
def pages():
    """Return every help page, by the words of its command."""
    context = get_command(app).make_context("heldout-server", [], resilient_parsing=True, terminal_width=80)
    return {path: command.get_help(type(context)(command, info_name=" ".join(path), parent=context))
            for path, command in COMMANDS.items()}  # fmt: skip


def test_every_page_fits_80_columns(pages):
    assert {path: line for path, page in pages.items() for line in page.splitlines() if len(line) > 80} == {}


def test_no_summary_is_cut_off(pages):
    assert [path for path, page in pages.items() if any(line.endswith("...") for line in page.splitlines()[1:])] == []


def test_every_command_shows_an_example_that_can_be_copied(pages):
    assert [path for path in LEAVES if f"\n    heldout-server {' '.join(path)}" not in pages[path]] == []


def test_every_command_that_ends_answers_in_json():
    silent = [path for path in LEAVES if not any("--json" in option.opts for option in COMMANDS[path].params)]
    assert silent == [("serve",)]
