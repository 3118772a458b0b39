"""YAML, where the optional PyYAML is installed: PyYAML's safe tags alone, no aliases, no deep nesting.

Three shapes are known: PyRIT's seeds (``seeds:`` or ``prompts:`` with what holds for all of them beside it),
promptfoo's ``tests:``, and a list of plain rows or of texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from heldout.bank_files.content import Content, read_document
from heldout.bank_files.fields import Record
from heldout.bank_files.samples import PYRIT_COLUMNS
from heldout.bank_model import BadRow
from heldout.errors import BankFileError

MAX_DEPTH: Final = 16
INSTALL: Final = 'reading YAML needs PyYAML: pip install "heldout[yaml]"'


def read_yaml(content: Content) -> Iterator[Record | BadRow]:
    """Yield the rows of a document, each with the line where it begins.

    Raises:
        BankFileError: PyYAML is not installed, or it is not YAML of one of the shapes, has an alias, or is too deep.
    """
    try:
        import yaml  # noqa: PLC0415 - optional
    except ImportError:
        raise BankFileError(f"{content.name}: {INSTALL}") from None
    text = read_document(content)
    loader_class = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _refuse_bombs(yaml.parse(text, Loader=loader_class), content.name)
        loader = loader_class(text)
        try:
            root = loader.get_single_node()
            if root is None:
                raise BankFileError(f"{content.name}: is empty: there is no row in it")
            shared, rows = _find_rows(root, loader, content.name)
            for row in rows:
                yield _record(row, shared, loader)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        place = getattr(getattr(error, "problem_mark", None), "line", None)
        where = "" if place is None else f" line {place + 1}"
        raise BankFileError(f"{content.name}{where}: is not YAML") from None
    except (ValueError, TypeError, OverflowError, RecursionError):  # a date, a number or a key that is none
        raise BankFileError(f"{content.name}: is not YAML") from None


def _refuse_bombs(events: Any, name: str) -> None:
    """Look at what the parser meets before anything is built: an alias may stand for a billion of what it names."""
    from yaml import events as kinds  # noqa: PLC0415 - it is installed, or we were not here

    depth = 0
    for event in events:
        line = event.start_mark.line + 1
        if isinstance(event, kinds.AliasEvent):
            raise BankFileError(f"{name} line {line}: has an alias (*name): write it out")
        depth += isinstance(event, kinds.CollectionStartEvent) - isinstance(event, kinds.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise BankFileError(f"{name} line {line}: is nested too deeply")


def _find_rows(root: Any, loader: Any, name: str) -> tuple[Mapping[str, object], list[Any]]:
    """Return the nodes of the rows, and what holds for all of them."""
    if root.id == "sequence":
        return {}, root.value
    members = {key.value: value for key, value in root.value if key.id == "scalar"} if root.id == "mapping" else {}
    if "tests" in members:
        rows, shared = members["tests"], {}
    else:
        rows = members.get("seeds", members.get("prompts"))
        shared = {
            key: loader.construct_object(node, deep=True) for key, node in members.items() if key in PYRIT_COLUMNS
        }
        shared.pop("parameters", None)
    if rows is None or rows.id != "sequence":
        raise BankFileError(f"{name}: no list of rows, seeds:, prompts: or tests: in it")
    return shared, rows.value


def _record(node: Any, shared: Mapping[str, object], loader: Any) -> Record | BadRow:
    line = node.start_mark.line + 1
    if node.id == "scalar":
        text = loader.construct_object(node, deep=True)
        return Record(line, {**shared, "value": text} if shared else {"prompt": text})
    if node.id != "mapping":
        return BadRow(line, "not_object")
    keys = {key.value for key, _ in node.value if key.id == "scalar"}
    if len(keys) < len(node.value):
        return BadRow(line, "duplicate_key")
    fields = {str(key): value for key, value in loader.construct_object(node, deep=True).items()}
    return Record(line, {**(shared if "value" in fields else {}), **fields})
