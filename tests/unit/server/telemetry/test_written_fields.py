"""The allow-list of log fields holds what the appliance writes, and no door that nobody needs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import heldout_server
from heldout_server.telemetry.fields import FIELDS

SOURCES = Path(heldout_server.__path__[0])
LEVELS = {"debug", "info", "warning", "error", "critical"}
BY_THE_LINE_ITSELF = {"event", "level", "time", "room"}
"""Written by the processors of every line."""


def passed_fields(tree: ast.Module) -> Iterator[str]:
    """Yield the names of what is passed to a logger, also where its method is chosen by a condition or a name."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=name), keywords=keywords) if name in LEVELS:
                yield from (one.arg for one in keywords if one.arg)
            case ast.Call(func=ast.IfExp() | ast.Call(), keywords=keywords):
                yield from (one.arg for one in keywords if one.arg)


def gathered_fields(tree: ast.Module) -> Iterator[str]:
    """Yield the names in dicts, which the telemetry fills and unpacks into a line."""
    for node in ast.walk(tree):
        match node:
            case ast.Dict(keys=keys):
                yield from (one.value for one in keys if isinstance(one, ast.Constant) and isinstance(one.value, str))
            case ast.Subscript(slice=ast.Constant(value=str(name)), ctx=ast.Store()):
                yield name


def test_every_declared_field_is_written_somewhere():
    written = set(BY_THE_LINE_ITSELF)
    for path in SOURCES.rglob("*.py"):
        if path.name != "fields.py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            written.update(passed_fields(tree))
            if path.parent.name == "telemetry":
                written.update(gathered_fields(tree))
    assert FIELDS.keys() - written == set()
