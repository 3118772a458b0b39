"""Every help page of ``heldout``: it fits a terminal, is whole, and shows what to type."""

from __future__ import annotations

import pytest
from typer.main import get_command

from heldout.cli.app import app, run


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
    context = get_command(app).make_context("heldout", [], resilient_parsing=True, terminal_width=80)
    return {path: command.get_help(type(context)(command, info_name=" ".join(path), parent=context))
            for path, command in COMMANDS.items()}  # fmt: skip


def test_every_page_fits_80_columns(pages):
    assert {path: line for path, page in pages.items() for line in page.splitlines() if len(line) > 80} == {}


def test_no_summary_is_cut_off(pages):
    assert [path for path, page in pages.items() if any(line.endswith("...") for line in page.splitlines()[1:])] == []


def test_every_command_shows_an_example_that_can_be_copied(pages):
    words = [f"\n    heldout {' '.join(path)}" for path in LEAVES]
    special = {("seal", "give-share"), ("seal", "now")}  # whose profile it is matters there
    missing = [path for path, line in zip(LEAVES, words, strict=True) if line not in pages[path]]
    assert set(missing) == special
    assert all("\n    heldout --profile " in pages[path] for path in special)


def test_every_command_answers_in_json():
    assert [path for path in LEAVES if not any("--json" in option.opts for option in COMMANDS[path].params)] == []


@pytest.mark.parametrize("words", [[], ["bank"], ["audit"]], ids=" ".join)
def test_a_group_without_a_command_shows_its_page(words, capsys):
    assert run(words) == 2
    assert capsys.readouterr().err.startswith("Usage: heldout")
