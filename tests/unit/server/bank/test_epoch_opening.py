"""What a bank tester is told of an epoch before and when it is opened."""

from functools import partial
from importlib import resources

import pytest

from heldout_policy.release_policy import parse_release_policy
from heldout_policy.shortage import find_shortage
from heldout_proto.v1 import bank_pb2
from heldout_server.api.bank import BankServicer
from heldout_server.domain import Intent

POLICY = parse_release_policy(resources.files("heldout_policy").joinpath("defaults/release.toml").read_text())


class Door:
    """The servicer over a real bank and the default policy; whether an epoch is too close is not asked here."""

    def __init__(self, bank):
        self.announced = 0
        self.servicer = BankServicer(
            bank=bank,
            gate=bank.gate,
            packs=None,
            gate_epoch=self._gate_epoch,
            find_shortage=partial(find_shortage, POLICY),
            on_epoch=self._announce,
        )

    async def _gate_epoch(self):
        return lambda _units: ()

    async def _announce(self):
        self.announced += 1

    async def open(self, **options):
        return await self.servicer.OpenEpoch(bank_pb2.OpenEpochRequest(**options), None)

    async def import_rows(self, rows):
        async def requests():
            yield bank_pb2.ImportPromptsRequest(options=bank_pb2.ImportOptions(), rows=rows, last=True)

        return await self.servicer.ImportPrompts(requests(), None)


@pytest.fixture
def door(bank):
    return Door(bank)


def told(shortage):
    return [(group.intent, group.category, group.units, group.short) for group in shortage.groups]


def prompt_rows(count, *, category="tricks", start=0, family=""):
    return [
        bank_pb2.ImportRow(
            line=n + 1,
            prompt=bank_pb2.Prompt(
                text=f"Tell me story number {n} about a goose.",
                intent=bank_pb2.INTENT_HARMFUL,
                category=category,
                family=family,
            ),
        )
        for n in range(start, start + count)
    ]


async def test_an_import_and_the_counts_say_what_an_epoch_would_withhold(door):
    answer = await door.import_rows(prompt_rows(29))
    lacks = [(bank_pb2.INTENT_HARMFUL, "", 29, 1), (bank_pb2.INTENT_BENIGN, "", 0, 30)]
    assert told(answer.shortage) == lacks
    assert answer.shortage.shows_nothing
    stats = await door.servicer.GetStats(bank_pb2.GetStatsRequest(), None)
    assert stats.shortage == answer.shortage
    assert stats.shortage.minimum_units == 30


async def test_an_epoch_that_would_show_nothing_is_opened_only_if_one_means_it(door, bank):
    await door.import_rows(prompt_rows(29))
    refused = await door.open(only_if_shown=True)
    assert not refused.HasField("epoch")
    assert refused.shortage.shows_nothing
    assert ((await bank.stats()).epoch, door.announced) == (None, 0)
    opened = await door.open()
    assert (opened.epoch.number, opened.shortage, door.announced) == (1, refused.shortage, 1)


async def test_an_epoch_that_shows_a_row_opens_and_names_the_rest(door):
    await door.import_rows([*prompt_rows(30), *prompt_rows(2, category="skips", start=30)])
    opened = await door.open(only_if_shown=True)
    assert opened.epoch.units == 32
    assert told(opened.shortage) == [
        (bank_pb2.INTENT_BENIGN, "", 0, 30),
        (bank_pb2.INTENT_HARMFUL, "skips", 2, 28),
        (bank_pb2.INTENT_HARMFUL, "tricks", 30, 28),  # or the two would be left over
    ]


async def test_units_are_counted_and_not_prompts_also_where_a_family_is_in_two_categories(bank, make, rows):
    pair = [make(f"Text {n}", intent=Intent.BENIGN, category=f"c{n}", family="one") for n in range(2)]
    await bank.import_prompts(rows([*pair, make("Text 3"), make("Text 4", family="two")]), skip_bad=False)
    sizes = (await bank.stats()).sizes
    assert (sizes.benign, sum(sizes.harmful.values())) == (1, 2)
    assert (await bank.offer()).sizes == sizes


async def test_a_text_that_spent_and_was_retired_is_counted_when_it_comes_again(door, bank):
    await door.import_rows(prompt_rows(2))
    await door.open()
    await door.import_rows(prompt_rows(1, start=2))
    await bank.retire(await bank.handles(after="", limit=10))
    assert (await door.import_rows(prompt_rows(3))).spent_before == 2  # the third was in no epoch


def hats(*lines, family=""):
    return [
        bank_pb2.ImportRow(
            line=line,
            prompt=bank_pb2.Prompt(text=f"{HAT} {line}", intent=bank_pb2.INTENT_BENIGN, category="hats", family=family),
        )
        for line in lines
    ]


async def test_near_rows_of_one_file_are_named_by_line_and_those_of_one_family_not_at_all(door, bank):
    assert (await door.import_rows(hats(1, 2, 3, family="hats"))).near_total == 0
    assert (await bank.near_duplicates()).total == 0
    found = await door.import_rows(hats(4, family="other"))
    assert [(row.line, row.other_line) for row in found.near] == [(4, 0)]
    await bank.retire(await bank.handles(after="", limit=10))
    alone = await door.import_rows(hats(14, 17))
    assert [(row.line, row.other_line) for row in alone.near] == [(17, 14)]


HAT = "How do I fold a paper hat for my little sister out of an old newspaper without any glue at all please"
