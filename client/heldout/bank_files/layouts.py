"""What the columns of known data sets mean.

===============  =====================================================================================================
HarmBench        Behavior, FunctionalCategory, SemanticCategory, Tags, ContextString, BehaviorID; all harmful
JailbreakBench   Index, Goal, Target, Behavior, Category, Source; its harmful and its benign file look the same
AdvBench         goal, target; all harmful, no category
StrongREJECT     category, source, forbidden_prompt; all harmful
XSTest           id, prompt, type, label, focus, note; label safe or unsafe, or else the type says it
Inspect          input, target, choices, id, metadata, sandbox, files, setup
PyRIT            value, harm_categories, data_type, … of ``seeds:`` or ``prompts:``
promptfoo        vars, metadata, … of ``tests:``
plain            prompt or text, intent, category, language, tags, family
===============  =====================================================================================================
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from heldout.bank_files import samples
from heldout.bank_files.fields import BadField, check_tags, fold_tags
from heldout.bank_model import Intent
from heldout.errors import BankFileError

Fields = Mapping[str, object]
_NAMEABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Say how the rows of one kind of file are read.

    Attributes:
        name: as people say it.
        needs: columns that must all be there for the layout to be recognised.
        columns: all that it knows.
        text: returns the text of a row.
        category: returns the category of a row as the file has it, or None.
        intent: returns the intent of a row as the file has it, or None.
        intents: columns of which one must be there unless an intent is given; empty if the file says nothing.
        categories: likewise for the category.
        all: the intent of every row, where the data set is all of one.
        tags: returns the tags of a row.
    """

    name: str
    needs: frozenset[str]
    columns: frozenset[str]
    text: Callable[[Fields], object]
    category: Callable[[Fields], object] = lambda _fields: None
    intent: Callable[[Fields], object] = lambda _fields: None
    intents: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    all: Intent | None = None
    tags: Callable[[Fields], tuple[str, ...]] = lambda _fields: ()


def _column(name: str) -> Callable[[Fields], object]:
    return lambda fields: fields.get(name)


def _plain_text(fields: Fields) -> object:
    texts = [fields[key] for key in ("prompt", "text") if key in fields]
    if len(texts) != 1:
        raise BadField("prompt_twice" if texts else "prompt_missing")
    return texts[0]


def _behavior_in_context(fields: Fields) -> object:
    behavior, context = fields.get("Behavior"), fields.get("ContextString")
    # As HarmBench itself puts a contextual behaviour to a model.
    return f"{context}\n\n---\n\n{behavior}" if isinstance(behavior, str) and context else behavior


def _label_intent(fields: Fields) -> object:
    label = fields.get("label")
    return {"safe": Intent.BENIGN, "unsafe": Intent.HARMFUL}.get(label, label) if isinstance(label, str) else label


def _contrast_intent(fields: Fields) -> object:
    kind = fields.get("type")
    if not isinstance(kind, str) or not kind:
        return None
    return Intent.HARMFUL if kind.startswith("contrast_") else Intent.BENIGN  # a contrast is the unsafe look-alike


PLAIN: Final = Layout(
    name="plain",
    needs=frozenset({"prompt"}),
    columns=frozenset({"prompt", "text", "intent", "category", "language", "tags", "family"}),
    text=_plain_text,
    category=_column("category"),
    intent=_column("intent"),
    intents=frozenset({"intent"}),
    categories=frozenset({"category"}),
    tags=lambda fields: check_tags(fields["tags"]) if "tags" in fields else (),
)

LAYOUTS: Final = (
    Layout(
        name="HarmBench",
        needs=frozenset({"Behavior", "SemanticCategory"}),
        columns=frozenset(
            {"Behavior", "FunctionalCategory", "SemanticCategory", "Tags", "ContextString", "BehaviorID"}
        ),
        text=_behavior_in_context,
        category=_column("SemanticCategory"),
        categories=frozenset({"SemanticCategory"}),
        all=Intent.HARMFUL,
        tags=lambda fields: fold_tags([fields.get("FunctionalCategory") or "", *fold_tags(fields.get("Tags"))]),
    ),
    Layout(
        name="JailbreakBench",
        needs=frozenset({"Goal", "Category"}),
        columns=frozenset({"Index", "Goal", "Target", "Behavior", "Category", "Source"}),
        text=_column("Goal"),
        category=_column("Category"),
        categories=frozenset({"Category"}),
    ),
    Layout(
        name="StrongREJECT",
        needs=frozenset({"forbidden_prompt"}),
        columns=frozenset({"forbidden_prompt", "category", "source"}),
        text=_column("forbidden_prompt"),
        category=_column("category"),
        categories=frozenset({"category"}),
        all=Intent.HARMFUL,
    ),
    Layout(
        name="XSTest",
        needs=frozenset({"prompt", "type", "label"}),
        columns=frozenset({"id", "prompt", "type", "label", "focus", "note"}),
        text=_column("prompt"),
        category=_column("type"),
        intent=_label_intent,
        intents=frozenset({"label"}),
        categories=frozenset({"type"}),
    ),
    Layout(
        name="XSTest",
        needs=frozenset({"prompt", "type", "focus"}),
        columns=frozenset({"id", "prompt", "type", "focus", "note"}),
        text=_column("prompt"),
        category=_column("type"),
        intent=_contrast_intent,
        intents=frozenset({"type"}),
        categories=frozenset({"type"}),
    ),
    Layout(
        name="AdvBench",
        needs=frozenset({"goal", "target"}),
        columns=frozenset({"goal", "target"}),
        text=_column("goal"),
        all=Intent.HARMFUL,
    ),
    Layout(
        name="Inspect",
        needs=frozenset({"input"}),
        columns=frozenset({"input", "target", "choices", "id", "metadata", "sandbox", "files", "setup"}),
        text=samples.inspect_text,
        category=samples.metadata_category,
        intent=samples.metadata_intent,
        intents=frozenset({"metadata"}),
        categories=frozenset({"metadata"}),
    ),
    Layout(
        name="PyRIT",
        needs=frozenset({"value"}),
        columns=samples.PYRIT_COLUMNS,
        text=samples.pyrit_text,
        category=samples.pyrit_category,
        intent=samples.pyrit_intent,
        intents=frozenset({"should_be_blocked"}),
        categories=frozenset({"harm_categories", "harm_category"}),
        tags=samples.pyrit_tags,
    ),
    Layout(
        name="promptfoo",
        needs=frozenset({"vars"}),
        columns=frozenset(
            {"vars", "metadata", "assert", "description", "options", "threshold", "providers", "provider"}
        ),
        text=samples.promptfoo_text,
        category=samples.metadata_category,
        intent=samples.metadata_intent,
        intents=frozenset({"metadata"}),
        categories=frozenset({"metadata"}),
    ),
    PLAIN,
)


def recognise(columns: Collection[str]) -> Layout | None:
    """Return the layout of a file with these columns, or None if nothing in it is known to hold prompts."""
    names = frozenset(columns)
    if "text" in names:
        names |= {"prompt"}
    return next((layout for layout in LAYOUTS if layout.needs <= names), None)


def refuse_unknown(columns: Collection[str], layout: Layout | None, name: str) -> None:
    """Say which column is not known, with the known one that it is most like.

    Raises:
        BankFileError: one is not, or none holds prompts.
    """
    if layout is None:
        known = sorted({column for one in LAYOUTS for column in one.needs})
        for place, column in enumerate(columns, 1):
            like = _like(column, known)
            if like:
                raise BankFileError(f"{name}: no column of prompts: {_named(column, place)}: did you mean {like}?")
        raise BankFileError(
            f"{name}: no column of prompts, such as prompt, text or Behavior: is its first line the names?"
        )
    for place, column in enumerate(columns, 1):
        if column not in layout.columns:
            like = _like(column, sorted(layout.columns))
            hint = f"did you mean {like}?" if like else f"{layout.name} columns are {', '.join(sorted(layout.columns))}"
            raise BankFileError(f"{name}: {_named(column, place)} is unknown: {hint} (--ignore-column leaves it out)")


def _like(column: str, known: list[str]) -> str:
    folded = {one.lower(): one for one in known}
    found = difflib.get_close_matches(column[:64].lower(), folded, n=1, cutoff=0.7)
    return folded[found[0]] if found else ""


def _named(column: str, place: int) -> str:
    """Name a column, unless it may be a prompt of a file without a first line of names."""
    return f"column {place}, {column}," if _NAMEABLE.fullmatch(column) else f"column {place}"
