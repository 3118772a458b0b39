"""Every call that logs, in all of the server's code: what it may say is decided where it is written."""

import ast
from pathlib import Path

import pytest

import heldout_server
from heldout_server.telemetry.fields import FIELDS, is_declared

ROOT = Path(heldout_server.__file__).parent
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
LOGGERS = {"_log", "log"}
OF_THE_ROOM_ITSELF = ROOT / "telemetry"


def log_calls():
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
                speaker = node.func.value
                name = getattr(speaker, "attr", getattr(speaker, "id", ""))
                if name in LOGGERS:
                    yield pytest.param(path, node, id=f"{path.relative_to(ROOT)}:{node.lineno}")


CALLS = list(log_calls())


def test_there_are_calls_to_look_at():
    assert len(CALLS) > 20


@pytest.mark.parametrize(("path", "call"), CALLS)
def test_a_call_names_declared_fields_and_a_fixed_event(path, call):
    """A field that the list does not hold would be dropped: say in ``fields.py`` what it is, or leave it out."""
    assert {keyword.arg for keyword in call.keywords if keyword.arg} - {"exc_info"} <= FIELDS.keys()
    assert [
        ast.unparse(one.value) for one in call.keywords if one.arg is None and path.parent != OF_THE_ROOM_ITSELF
    ] in (
        [],
        ["error_fields(error)"],
        ["fields"],
    )
    (event,) = call.args
    assert (isinstance(event, ast.Name) and event.id.isupper()) or is_declared("event", ast.literal_eval(event))


def test_nobody_shows_the_values_of_variables():
    """A frame that revealed a text holds it in a variable."""
    showing = ("show_locals", "capture_locals", "rich.traceback", "f_locals", "cgitb", "format_locals")
    assert [
        path.name
        for path in sorted(ROOT.rglob("*.py"))
        if any(word in path.read_text().replace("show_locals=False", "") for word in showing)
    ] == []


def test_nobody_logs_past_the_list():
    """``logging`` and ``print`` take any text; only the commands, which speak to a person, may print."""
    strangers = []
    for path in sorted(ROOT.rglob("*.py")):
        if {"telemetry", "cli", "attack"} & set(path.relative_to(ROOT).parts):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            imported = {one.name for one in node.names} if isinstance(node, ast.Import) else set()
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if {"logging", "traceback", "faulthandler"} & imported or called == "print":
                strangers.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert [one for one in strangers if not one.startswith("hardening/")] == []
