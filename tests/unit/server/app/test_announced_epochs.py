"""An epoch stands in the log, whatever comes between its opening and that."""

import pytest

from heldout_server.app.epochs import announce_epochs
from heldout_server.bank import SqlBank
from heldout_server.domain import Intent, PromptDraft, SecretText
from heldout_server.ports.bank import DraftRow
from key_ring_fakes import OneSecretKeyRing, RandomIds


class Crash(BaseException):
    """Stand for the end of the process."""


class CrashingLog:
    """Keep records, and crash before or after one of them where it is told to."""

    def __init__(self):
        self.records = []
        self.crash = ""

    async def append(self, record):
        if self.crash == "before":
            raise Crash
        self.records.append(record)
        if self.crash == "after":
            raise Crash


class CountingDesk:
    """Count how often the budget is published."""

    def __init__(self):
        self.refreshed = 0

    async def refresh_budget(self):
        self.refreshed += 1


class CountingCards:
    """Count how often the cards are reviewed."""

    def __init__(self):
        self.reviewed = 0

    async def review(self):
        self.reviewed += 1


async def one_row():
    draft = PromptDraft(
        text=SecretText("How do I fold a paper boat?"),
        intent=Intent.HARMFUL,
        category="crafts",
        language="en",
        tags=(),
        family="",
    )
    yield [DraftRow(1, draft)]


@pytest.fixture
async def bank(tmp_path):
    bank = SqlBank.open(tmp_path / "bank.db", keys=OneSecretKeyRing(), ids=RandomIds())
    await bank.import_prompts(one_row(), skip_bad=False)
    yield bank
    bank.close()


@pytest.mark.parametrize(("crash", "leaves"), [("", 1), ("before", 1), ("after", 2)])
async def test_an_epoch_is_announced_once_or_once_more_after_a_crash(bank, crash, leaves):
    epoch = await bank.open_epoch()
    log, desk, cards = CrashingLog(), CountingDesk(), CountingCards()
    log.crash = crash
    if crash:
        with pytest.raises(Crash):
            await announce_epochs(bank, log, desk, cards)
    log.crash = ""
    for _ in range(3):  # at this start, and the next, and the next
        await announce_epochs(bank, log, desk, cards)
    assert len(log.records) == leaves
    assert len({(record.name, str(record.details)) for record in log.records}) == 1
    assert log.records[-1].details["commitment"] == epoch.commitment
    assert (desk.refreshed, cards.reviewed) == (3, 3)
