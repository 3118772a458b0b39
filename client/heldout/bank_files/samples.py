"""What lies deeper in a row of the evaluation tools: Inspect samples, PyRIT seeds, promptfoo tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from heldout.bank_files.fields import BadField, fold_tags
from heldout.bank_model import Intent

Fields = Mapping[str, object]

PYRIT_COLUMNS: Final = frozenset(
    {
        "value", "data_type", "id", "name", "dataset_name", "harm_categories", "harm_category", "description",
        "authors", "author", "groups", "group", "source", "date_added", "added_by", "metadata", "parameters",
        "prompt_group_id", "prompt_group_alias", "role", "sequence", "is_objective", "is_general_technique",
        "seed_type", "should_be_blocked", "version",
    }
)  # fmt: skip

_CATEGORY_KEYS: Final = ("category", "harm_category", "harmCategory", "pluginId")
_INTENT_KEYS: Final = ("intent",)


def inspect_text(fields: Fields) -> object:
    """Return the text of an Inspect sample: a text, or a chat of one message of the user."""
    return _one_turn(fields.get("input"))


def metadata_category(fields: Fields) -> object:
    """Return the category that stands in a row's metadata."""
    return _metadata(fields, _CATEGORY_KEYS)


def metadata_intent(fields: Fields) -> object:
    """Return the intent that stands in a row's metadata."""
    return _metadata(fields, _INTENT_KEYS)


def pyrit_text(fields: Fields) -> object:
    """Return the text of a PyRIT seed.

    Raises:
        BadField: it is no text, a template with parameters, or a later turn of a conversation.
    """
    if fields.get("data_type", "text") != "text":
        raise BadField("not_text")
    if fields.get("parameters"):
        raise BadField("template")
    if fields.get("sequence", 0) not in {0, None} or fields.get("role", "user") not in {"user", None}:
        raise BadField("many_turns")
    return fields.get("value")


def pyrit_category(fields: Fields) -> object:
    """Return the first harm category of a PyRIT seed; the others are tags."""
    names = fields.get("harm_categories", fields.get("harm_category"))
    return names[0] if isinstance(names, list) and names else names


def pyrit_tags(fields: Fields) -> tuple[str, ...]:
    """Return the harm categories of a PyRIT seed past the first."""
    names = fields.get("harm_categories")
    return fold_tags(names[1:]) if isinstance(names, list) else ()


def pyrit_intent(fields: Fields) -> object:
    """Return the intent of a PyRIT seed, where its file says whether it should be blocked."""
    blocked = fields.get("should_be_blocked")
    return {True: Intent.HARMFUL, False: Intent.BENIGN}.get(blocked) if isinstance(blocked, bool) else None


def promptfoo_text(fields: Fields) -> object:
    """Return the text of a promptfoo test: its variable ``prompt``, or its only one.

    Raises:
        BadField: it has several and none of them is ``prompt``, or it stands in another file.
    """
    variables = fields.get("vars")
    if not isinstance(variables, dict):
        raise BadField("prompt_missing")
    if "prompt" not in variables and len(variables) != 1:
        raise BadField("many_variables")
    text = variables["prompt"] if "prompt" in variables else next(iter(variables.values()))
    if isinstance(text, str) and text.startswith("file://"):
        raise BadField("not_text")
    return text


def _one_turn(value: object) -> object:
    if not isinstance(value, list):
        return value
    if len(value) != 1 or not isinstance(value[0], dict) or value[0].get("role") != "user":
        raise BadField("many_turns")
    content = value[0].get("content")
    if not isinstance(content, str):
        raise BadField("not_text")
    return content


def _metadata(fields: Fields, keys: tuple[str, ...]) -> object:
    metadata = fields.get("metadata")
    if isinstance(metadata, str):  # as a CSV writes it
        try:
            metadata = json.loads(metadata)
        except (ValueError, RecursionError):
            raise BadField("metadata_invalid") from None
    if not isinstance(metadata, dict):
        return None
    return next((metadata[key] for key in keys if key in metadata), None)
