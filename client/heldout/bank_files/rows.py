"""From a file to rows: choose the format, recognise the columns, and turn each record into a prompt or a reason."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from heldout.bank_files import csv_table, json_lines, parquet_table, prompt_list, yaml_document
from heldout.bank_files.content import PARQUET_MAGIC, Content, open_content
from heldout.bank_files.fields import (
    DEFAULT_LANGUAGE,
    BadField,
    Record,
    check_identifier,
    check_intent,
    check_language,
    check_text,
    slug,
)
from heldout.bank_files.layouts import PLAIN, Layout, recognise, refuse_unknown
from heldout.bank_files.options import ReadOptions
from heldout.bank_model import BadRow, Intent, Prompt, PromptRow
from heldout.errors import BankFileError


@dataclass(frozen=True, slots=True)
class _Table:
    """Hold the records of a file, and the names of its columns where they are the same for all."""

    records: Iterator[Record | BadRow]
    columns: tuple[str, ...] | None = None


def read_rows(
    path: Path,
    options: ReadOptions | None = None,
    *,
    on_recognised: Callable[[str], None] | None = None,
) -> Iterator[PromptRow | BadRow]:
    """Yield each row of a file, or why it will not do. Blank lines are passed over.

    Args:
        path: the file.
        options: what holds for rows that say nothing themselves.
        on_recognised: told once, before the first row, whose columns they are, such as ``HarmBench``.

    Raises:
        BankFileError: the file is not one of prompts, or says nothing of an intent or a category and neither was given.
    """
    chosen = options or ReadOptions()
    with open_content(path) as content, contextlib.ExitStack() as stack:
        table = _open_table(content, stack)
        layout, seen = _recognise(table, chosen, content.name)
        if on_recognised is not None:
            on_recognised(layout.name)
        for record in itertools.chain(seen, table.records):
            if isinstance(record, BadRow):
                yield record
                continue
            try:
                yield PromptRow(record.line, _prompt(record.fields, layout, chosen))
            except BadField as error:
                yield BadRow(record.line, str(error))


def _open_table(content: Content, stack: contextlib.ExitStack) -> _Table:
    if content.head.startswith(PARQUET_MAGIC):
        columns, records = parquet_table.open_parquet(content, stack)
        return _Table(records, columns)
    match content.suffix:
        case ".parquet":
            raise BankFileError(f"{content.name}: is not a Parquet file")
        case ".csv" | ".tsv":
            columns, records = csv_table.open_csv(content)
            return _Table(records, columns)
        case ".yaml" | ".yml" | ".prompt":
            return _Table(yaml_document.read_yaml(content))
        case ".txt":
            return _Table(prompt_list.read_list(content))
        case ".json" if content.head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
            return _Table(json_lines.read_json_list(content))
    if content.suffix not in {".json", ".jsonl", ".ndjson"}:
        _refuse_other_kind(content)
    return _Table(json_lines.read_json_lines(content))


def _refuse_other_kind(content: Content) -> None:
    """Refuse as a whole what would be bad in every line: JSON lines by another name are fine, and so is nothing."""
    begun = content.head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if begun and not begun.startswith(b"{"):
        kinds = ".jsonl, .csv, .tsv, .parquet, .yaml, or .txt for a list"
        raise BankFileError(f"{content.name}: is not of a kind that can be imported: {kinds}; plain or gzip")


def _recognise(table: _Table, options: ReadOptions, name: str) -> tuple[Layout, list[Record | BadRow]]:
    """Return the layout of a table, and the records that were read to know it."""
    columns = None if table.columns is None else _kept(table.columns, options)
    if columns is not None:
        refuse_unknown(columns, recognise(columns), name)
    # (1) The first records up to one that is an object tell the columns, where no header does.
    seen: list[Record | BadRow] = []
    for record in table.records:
        seen.append(record)
        if isinstance(record, Record):
            break
    if not seen:
        raise BankFileError(f"{name}: is empty: there is no row in it")
    first = seen[-1]
    names = columns if columns is not None else _kept(first.fields, options) if isinstance(first, Record) else ()
    layout = recognise(names)
    # (2) What no row could mend is said of the file, once.
    if names and layout is None:
        refuse_unknown(names, layout, name)
    layout = layout or PLAIN
    if columns is not None or layout is not PLAIN:
        _refuse_silence(frozenset(names), layout, options, name)
    return layout, seen


def _kept(columns: tuple[str, ...] | Mapping[str, object], options: ReadOptions) -> tuple[str, ...]:
    return tuple(column for column in columns if column not in options.ignored)


def _refuse_silence(columns: frozenset[str], layout: Layout, options: ReadOptions, name: str) -> None:
    """Say which option is missing, where the file says nothing of an intent or a category."""
    if layout.all is None and options.intent is None and not layout.intents & columns:
        why = "its harmful and its benign file look the same" if layout.name == "JailbreakBench" else "it says nothing"
        raise BankFileError(f"{name}: which intent? {why}: pass --intent harmful or --intent benign")
    if not options.category and not layout.categories & columns:
        raise BankFileError(f"{name}: which category? It says nothing of one: pass --category NAME")


def _prompt(every: Mapping[str, object], layout: Layout, options: ReadOptions) -> Prompt:
    fields = {key: value for key, value in every.items() if key not in options.ignored} if options.ignored else every
    if not fields.keys() <= layout.columns:
        raise BadField("unknown_key")
    own = layout is PLAIN
    return Prompt(
        text=check_text(_present(layout.text(fields), "prompt_missing")),
        intent=_intent(layout.intent(fields), options, layout, given="intent" in fields and own),
        category=_category(layout.category(fields), options, given="category" in fields and own),
        language=check_language(fields["language"]) if own and "language" in fields else DEFAULT_LANGUAGE,
        tags=layout.tags(fields),
        family=check_identifier(fields["family"], "family_invalid") if own and fields.get("family", "") != "" else "",
    )


def _present(value: object, code: str) -> object:
    if value is None:
        raise BadField(code)
    return value


def _intent(value: object, options: ReadOptions, layout: Layout, *, given: bool) -> Intent:
    if value is None and not given:
        value = options.intent or layout.all
        if value is None:
            raise BadField("intent_missing")
    return check_intent(value)


def _category(value: object, options: ReadOptions, *, given: bool) -> str:
    if value is None and not given:
        if not options.category:
            raise BadField("category_missing")
        return options.category
    name = slug(value) if isinstance(value, str) else value
    if isinstance(name, str):
        name = options.categories.get(name, name)
    return check_identifier(name, "category_invalid")
