import pytest

from heldout_policy.disclosure import NotDisclosable
from heldout_proto.v1 import findings_pb2
from heldout_server.api.gate import ApprovedTexts, Fixed, Gate
from heldout_server.domain import Role
from heldout_server.errors import InvalidRequest

UNAPPROVED = findings_pb2.ListCardsResponse(cards=[findings_pb2.Card(title="not an approved text")])


def test_what_is_fixed_is_built_checked_and_serialized_once():
    built = []

    def build():
        built.append(True)
        return findings_pb2.ListCardsResponse(next_page_token="7")

    gate = Gate(ApprovedTexts())
    answers = {gate.serialize(Fixed(("a", 7), build), role) for role in (Role.TRAINER, Role.AUDITOR, Role.BANK_TESTER)}
    assert answers == {findings_pb2.ListCardsResponse(next_page_token="7").SerializeToString()}
    assert built == [True]
    gate.serialize(Fixed(("a", 8), build), Role.TRAINER)
    assert built == [True, True]


def test_what_is_fixed_and_does_not_fit_leaves_for_nobody_however_often_it_is_asked_for():
    gate = Gate(ApprovedTexts())
    for role in (Role.TRAINER, Role.BANK_TESTER, Role.TRAINER):
        with pytest.raises(NotDisclosable):
            gate.serialize(Fixed("a", lambda: UNAPPROVED), role)


def test_only_bank_testers_get_what_does_not_fit_its_class():
    gate = Gate(ApprovedTexts())
    assert gate.serialize(UNAPPROVED, Role.BANK_TESTER) == UNAPPROVED.SerializeToString()
    with pytest.raises(NotDisclosable):
        gate.serialize(UNAPPROVED, Role.RUN_TESTER)


@pytest.mark.parametrize("request_bytes", [b"\xff", b"\x0a\x02\xc3\x28", b"\xf8\x7f\x01", b"\x08\xff\xff\xff\xff\x0f"])
def test_what_does_not_parse_or_keep_the_rules_is_refused_without_a_word_of_it(request_bytes):
    with pytest.raises(InvalidRequest) as refused:
        Gate(ApprovedTexts()).parse(findings_pb2.ListReleasesRequest.FromString, request_bytes)
    assert refused.value.__cause__ is None
