"""Cards: written by one person, approved by another, compared with the bank at every step, and published."""

import dataclasses

import pytest

from heldout_policy.cards import CardsPolicy
from heldout_proto.v1 import findings_pb2
from heldout_server.bank import SqlBank
from heldout_server.domain import Card, Intent, Principal, PromptDraft, Role, SecretText
from heldout_server.errors import NotFound, WrongState
from heldout_server.ports.bank import DraftRow
from heldout_server.ports.cards import BY_POLICY, SHIPPED, CardState, CardText
from heldout_server.release import CardsDesk
from key_ring_fakes import OneSecretKeyRing, RandomIds

ANA = Principal("spiffe://lab/ana", Role.BANK_TESTER)
BEN = Principal("spiffe://lab/ben", Role.BANK_TESTER)
RITA = Principal("spiffe://lab/rita", Role.RUN_TESTER)
PROMPT = "Explain how the lighthouse keeper hides seven marzipan potatoes under the harbour master's velvet armchair"
TEXT = CardText(
    title="Playing a part",
    mechanism="The model is asked to play somebody who would answer.",
    references=("A paper on personas",),
    mitigation="Train on conversations in which a part is played.",
)
SIGNED = CardsPolicy(shipped="signature", approved_by="bank_tester")
ONE_BY_ONE = CardsPolicy()
BY_RUN_TESTER = CardsPolicy(shipped="signature", approved_by="run_tester")


def shipped_card(technique, mechanism="Ships so."):
    return Card(
        technique=technique,
        title=technique.title(),
        family="role-play",
        kind="persona",
        mechanism=mechanism,
        references=("Book",),
        mitigation="Practise.",
    )


SHIP = (shipped_card("base64"), shipped_card("persona"))


async def fill(bank, *texts):
    async def rows():
        for line, text in enumerate(texts, start=1):
            draft = PromptDraft(text=SecretText(text), intent=Intent.HARMFUL, category="mischief")
            yield [DraftRow(line, draft)]

    await bank.import_prompts(rows(), skip_bad=False)


class Room:
    """Hold a desk over a real bank, and what it logged and published."""

    def __init__(self, house, bank):
        self.house = house
        self.bank = bank
        self.shown = findings_pb2.CardSet()

    async def open(self, policy=SIGNED, shipped=SHIP):
        self.desk = CardsDesk(
            store=self.bank.cards,
            gate=self.bank.gate,
            memberships=self.bank,
            shipped=shipped,
            audit=self.house.audit,
            publisher=self.house.publisher,
            clock=self.house.clock,
            policy=policy,
            policy_digest="d" * 64,
            on_change=lambda shown: setattr(self, "shown", shown),
        )
        await self.desk.open()
        return self.desk

    def published(self):
        cards = findings_pb2.CardSet.FromString(self.house.publisher.states["cards"]).cards
        return {card.technique: card for card in cards}

    def logged(self):
        return [
            (one.details["action"], one.details["technique"], one.details["identity"])
            for one in self.house.audit.records
            if one.name == "card"
        ]

    async def state(self, technique="persona"):
        return next(one for one in await self.desk.records(ANA) if one.card.technique == technique)


@pytest.fixture
async def room(house, tmp_path):
    bank = SqlBank.open(tmp_path / "bank.db", keys=OneSecretKeyRing(), ids=RandomIds())
    await fill(bank, PROMPT, "What shall I cook for six?")
    await bank.open_epoch()
    yield Room(house, bank)
    bank.close()


async def propose(room, text=TEXT, technique="persona"):
    stored, hits = await room.desk.propose(technique, text, author=ANA.identity)
    assert hits == ()
    return stored


async def test_the_signature_of_the_policy_approves_what_ships_and_the_log_says_so(room):
    await room.open()
    assert set(room.published()) == {"base64", "persona"}
    assert {card.approved_by for card in room.published().values()} == {BY_POLICY}
    assert room.logged() == [
        (action, technique, by)
        for action, by in (("proposed", SHIPPED), ("approved", BY_POLICY))
        for technique in ("base64", "persona")
    ]
    await room.open()  # the next start changes and logs nothing
    assert len(room.logged()) == 4


async def test_without_the_signature_what_ships_waits_for_a_person(room):
    await room.open(ONE_BY_ONE)
    assert room.published() == {}
    card = await room.state()
    await room.desk.approve("persona", digest=card.digest, principal=BEN)
    assert list(room.published()) == ["persona"]


async def test_another_policy_takes_back_what_only_the_signature_approved(room):
    await room.open()
    await room.open(ONE_BY_ONE)
    assert room.published() == {}
    assert ("proposed", "persona", SHIPPED) in room.logged()[4:]


async def test_a_shipped_card_that_changed_with_a_version_is_approved_anew_and_a_testers_stays(room):
    await room.open()
    stored = await propose(room)
    await room.desk.approve("persona", digest=stored.digest, principal=BEN)
    await room.open(ONE_BY_ONE, shipped=(shipped_card("base64", "It is another now."), shipped_card("persona", "New.")))
    assert list(room.published()) == ["persona"]
    assert room.published()["persona"].author == ANA.identity


async def test_one_writes_another_approves_and_the_text_is_published_with_both_names(room):
    await room.open()
    stored = await propose(room)
    assert "persona" not in room.published()  # a new card drops the approval of the one before
    await room.desk.approve("persona", digest=stored.digest, principal=BEN)
    card = room.published()["persona"]
    assert (card.mechanism, card.author, card.approved_by) == (TEXT.mechanism, ANA.identity, BEN.identity)
    assert (card.family, card.kind) == ("role-play", "persona")
    assert room.logged()[-2:] == [("proposed", "persona", ANA.identity), ("approved", "persona", BEN.identity)]
    assert (await room.desk.digests())["persona"] == stored.digest


async def test_editing_a_card_drops_its_approval(room):
    await room.open()
    stored = await propose(room)
    await room.desk.approve("persona", digest=stored.digest, principal=BEN)
    await propose(room, dataclasses.replace(TEXT, title="Playing another part"))
    assert "persona" not in room.published()
    with pytest.raises(WrongState) as caught:
        await room.desk.approve("persona", digest=stored.digest, principal=BEN)
    assert caught.value.reason == "DIGEST_DIFFERS"


@pytest.mark.parametrize(
    ("policy", "who", "reason"),
    [
        (SIGNED, ANA, "OWN_CARD"),
        (BY_RUN_TESTER, BEN, "NOT_THE_APPROVER"),
        (BY_RUN_TESTER, ANA, "OWN_CARD"),
    ],
)
async def test_who_may_not_approve_does_not(room, policy, who, reason):
    await room.open(policy)
    stored = await propose(room)
    with pytest.raises(WrongState) as caught:
        await room.desk.approve("persona", digest=stored.digest, principal=who)
    assert caught.value.reason == reason
    assert "persona" not in room.published()


async def test_a_run_tester_sees_and_approves_where_the_policy_says_so_and_only_then(room):
    await room.open()
    stored = await propose(room)
    assert [one.card.technique for one in await room.desk.records(RITA)] == ["base64"]
    with pytest.raises(NotFound):
        await room.desk.approve("persona", digest=stored.digest, principal=RITA)
    await room.open(BY_RUN_TESTER)
    assert {card.technique for card in room.shown.cards} == {"base64", "persona"}
    await room.desk.approve("persona", digest=stored.digest, principal=RITA)
    assert room.published()["persona"].approved_by == RITA.identity


async def test_of_a_text_that_holds_a_prompt_nothing_is_kept_nor_its_digest_logged(room):
    await room.open()
    before = await room.state()
    with_prompt = dataclasses.replace(TEXT, mechanism=f"{TEXT.mechanism} For example: {PROMPT}.")
    stored, hits = await room.desk.propose("persona", with_prompt, author=ANA.identity)
    assert stored is None
    assert hits
    assert await room.state() == before
    assert room.house.audit.records[-1].details == {
        "action": "stopped",
        "technique": "persona",
        "identity": ANA.identity,
    }


async def test_what_came_into_the_bank_since_the_proposal_stops_the_approval(room):
    await room.open()
    stored = await propose(room)
    await fill(room.bank, TEXT.mechanism)
    with pytest.raises(WrongState) as caught:
        await room.desk.approve("persona", digest=stored.digest, principal=BEN)
    assert caught.value.reason == "FOUND_IN_CARD"


async def test_at_the_next_epoch_a_card_like_a_new_prompt_is_withheld_and_unknown_to_trainers(room):
    await room.open()
    stored = await propose(room)
    await room.desk.approve("persona", digest=stored.digest, principal=BEN)
    await fill(room.bank, TEXT.mechanism)
    assert "persona" in room.published()  # not before the epoch that holds the prompt
    await room.bank.open_epoch()
    await room.desk.review()
    assert list(room.published()) == ["base64"]
    assert (await room.state()).withheld
    assert room.logged()[-1] == ("withheld", "persona", "")
    assert "persona" not in await room.desk.digests()
    assert "persona" not in {card.technique for card in room.shown.cards}


async def test_a_review_that_was_cut_off_is_done_at_the_next_start(room):
    await room.open()
    stored = await propose(room)
    await room.desk.approve("persona", digest=stored.digest, principal=BEN)
    await fill(room.bank, TEXT.mechanism)
    await room.bank.open_epoch()  # and the process ends here
    await room.open()
    assert list(room.published()) == ["base64"]


async def test_words_dripped_over_many_cards_are_stopped(room):
    """Every two of a prompt's words come in a card of their own: the gate counts what was ever admitted."""
    words = PROMPT.split()
    techniques = [f"technique-{number}" for number in range(len(words) // 2)]
    await room.open(shipped=tuple(shipped_card(one, f"It is called {one}.") for one in techniques))
    for place, technique in enumerate(techniques):
        pair = " ".join(words[2 * place : 2 * place + 2])
        text = dataclasses.replace(TEXT, mechanism=f"Number {place} is about {pair}.")
        stored, hits = await room.desk.propose(technique, text, author=ANA.identity)
        if hits:
            assert place > 1
            return
        await room.desk.approve(technique, digest=stored.digest, principal=BEN)
    pytest.fail("all words of a prompt were published")


async def test_refused_and_withdrawn_cards_are_not_published_and_decided_once(room):
    await room.open()
    stored = await propose(room)
    await room.desk.refuse("persona", digest=stored.digest, principal=BEN)
    with pytest.raises(WrongState):
        await room.desk.approve("persona", digest=stored.digest, principal=BEN)
    await room.desk.withdraw("base64", principal=ANA)
    assert room.published() == {}
    assert (await room.state("base64")).state is CardState.WITHDRAWN
    with pytest.raises(WrongState):
        await room.desk.withdraw("base64", principal=ANA)
    await room.open()  # what a person decided, no start undoes
    assert room.published() == {}


async def test_only_techniques_of_the_appliance_have_cards(room):
    await room.open()
    with pytest.raises(NotFound):
        await room.desk.propose("lighthouse-keeper", TEXT, author=ANA.identity)


async def test_what_is_decided_stands_in_the_log_before_it_shows(room):
    await room.open()
    stored = await propose(room)
    room.house.steps.crash_at = "after append"
    with pytest.raises(room.house.crash):
        await room.desk.approve("persona", digest=stored.digest, principal=BEN)
    assert "persona" not in room.published()
    assert room.logged()[-1] == ("approved", "persona", BEN.identity)
