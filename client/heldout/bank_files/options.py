"""What a person says about a file that the file does not say itself."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from heldout.bank_files.content import open_content, read_document
from heldout.bank_files.fields import IDENTIFIER, slug
from heldout.bank_model import Intent
from heldout.errors import BankFileError

CATEGORY_MAPS: Final[Mapping[str, Mapping[str, str]]] = {
    "harmbench": {
        "disinformation": "misinformation_disinformation",
        "disinformation-and-deception": "misinformation_disinformation",
        "economic-harm": "illegal",
        "fraud-deception": "illegal",
        "harassment-discrimination": "harassment_bullying",
        "hate-harassment-and-discrimination": "harassment_bullying",
        "illegal-goods-and-services": "illegal",
        "malware-hacking": "cybercrime_intrusion",
        "non-violent-crimes": "illegal",
        "physical-harm": "harmful",
        "privacy": "illegal",
        "sexual-adult-content": "harmful",
        "sexual-content": "harmful",
        "violence": "harmful",
    },
}
"""Shipped maps: into HarmBench's categories, so that prompts of several sources count in the same rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Say what holds for rows that say nothing themselves.

    Attributes:
        intent: of rows without one.
        category: of rows without one, an identifier.
        categories: identifiers by the file's own categories as :func:`slug` writes them; others stay as they are.
        ignored: names of columns to leave out.
    """

    intent: Intent | None = None
    category: str = ""
    categories: Mapping[str, str] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()


def read_category_map(name: str) -> Mapping[str, str]:
    """Return a shipped map by its name, or that of a TOML file of lines such as ``"Self Harm" = "self-harm"``.

    Raises:
        BankFileError: there is no such map or file, or it is not one.
    """
    if name in CATEGORY_MAPS:
        return CATEGORY_MAPS[name]
    try:
        with open_content(Path(name)) as content:
            document = tomllib.loads(read_document(content))
    except tomllib.TOMLDecodeError:
        raise BankFileError(f'{name}: is not TOML: write lines such as "Self Harm" = "self-harm"') from None
    for value in document.values():
        if not isinstance(value, str) or IDENTIFIER.fullmatch(value) is None:
            raise BankFileError(f'{name}: every category must be an identifier: "Self Harm" = "self-harm"')
    return {slug(key): value for key, value in document.items()}
