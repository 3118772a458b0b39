"""A key ring, ids and drafts for the tests of the bank."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path

import pytest

from heldout_server.bank import SqlBank
from heldout_server.domain import Intent, PromptDraft, SecretText
from heldout_server.ports.bank import DraftRow
from key_ring_fakes import OneSecretKeyRing, RandomIds


@pytest.fixture
def keys() -> OneSecretKeyRing:
    return OneSecretKeyRing()


@pytest.fixture
def other_keys() -> OneSecretKeyRing:
    return OneSecretKeyRing(b"another root")


@pytest.fixture
def ids() -> RandomIds:
    return RandomIds()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bank.db"


@pytest.fixture
def open_bank(path: Path, keys: OneSecretKeyRing, ids: RandomIds) -> Iterator[Callable[..., SqlBank]]:
    """Open the bank of the test, or another file or with other parts, and close it in the end."""
    opened = []

    def open_it(where: Path = path, **parts) -> SqlBank:
        opened.append(SqlBank.open(where, **({"keys": keys, "ids": ids} | parts)))
        return opened[-1]

    yield open_it
    for bank in opened:
        bank.close()


@pytest.fixture
def bank(open_bank: Callable[..., SqlBank]) -> SqlBank:
    return open_bank()


def draft(text: str, intent: Intent = Intent.HARMFUL, category: str = "kitchen", **more) -> PromptDraft:
    return PromptDraft(text=SecretText(text), intent=intent, category=category, **more)


async def stream(drafts: Iterable[PromptDraft]) -> AsyncIterator[list[DraftRow]]:
    for line, one in enumerate(drafts, start=1):
        yield [DraftRow(line, one)]


@pytest.fixture
def make() -> Callable[..., PromptDraft]:
    """Make a mild draft."""
    return draft


@pytest.fixture
def rows() -> Callable[..., AsyncIterator[DraftRow]]:
    """Stream drafts as rows, counting lines from 1."""
    return stream
