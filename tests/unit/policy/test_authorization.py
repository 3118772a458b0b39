from importlib import resources

import pytest

from heldout_policy.authorization import CACHED_DECISIONS, Authorization, AuthorizationDecision
from heldout_policy.errors import PolicyError
from heldout_policy.principals import ROLES
from heldout_proto.v1 import audit_pb2, bank_pb2, card_pb2, checkpoint_pb2, evaluation_pb2, findings_pb2, seal_pb2

READS = {"trainer", "bank_tester", "run_tester", "auditor"}
TESTERS = {"bank_tester", "run_tester"}
BANK = {"bank_tester"}
AUDIT = {"auditor"}

EXPECTED = {
    "/heldout.v1.FindingsService/ListReleases": READS,
    "/heldout.v1.FindingsService/GetRelease": READS,
    "/heldout.v1.FindingsService/ListCards": READS,
    "/heldout.v1.FindingsService/GetBudget": READS,
    "/heldout.v1.FindingsService/ListScores": READS,
    "/heldout.v1.FindingsService/RecordScore": {"trainer"},
    "/heldout.v1.BankService/ImportPrompts": BANK,
    "/heldout.v1.BankService/GetPrompt": BANK,
    "/heldout.v1.BankService/ListPrompts": BANK,
    "/heldout.v1.BankService/GetStats": BANK,
    "/heldout.v1.BankService/RetirePrompts": BANK,
    "/heldout.v1.BankService/ListDuplicates": BANK,
    "/heldout.v1.BankService/GetPackKey": BANK,
    "/heldout.v1.BankService/ExamineCard": BANK,
    "/heldout.v1.BankService/OpenEpoch": BANK,
    "/heldout.v1.CardService/ProposeCard": BANK,
    "/heldout.v1.CardService/ListCardRecords": TESTERS,
    "/heldout.v1.CardService/GetCardRecord": TESTERS,
    "/heldout.v1.CardService/ApproveCard": TESTERS,
    "/heldout.v1.CardService/RefuseCard": TESTERS,
    "/heldout.v1.CardService/WithdrawCard": BANK,
    "/heldout.v1.EvaluationService/ProposeRun": TESTERS,
    "/heldout.v1.EvaluationService/ApproveRun": TESTERS,
    "/heldout.v1.EvaluationService/ListStandingApprovals": TESTERS,
    "/heldout.v1.EvaluationService/RevokeStandingApproval": TESTERS,
    "/heldout.v1.EvaluationService/PreflightCheckpoint": TESTERS,
    "/heldout.v1.EvaluationService/StartRun": TESTERS,
    "/heldout.v1.EvaluationService/CancelRun": TESTERS,
    "/heldout.v1.EvaluationService/GetRun": TESTERS,
    "/heldout.v1.EvaluationService/ListRuns": TESTERS,
    "/heldout.v1.EvaluationService/WatchRun": BANK,
    "/heldout.v1.EvaluationService/GetResults": BANK,
    "/heldout.v1.CheckpointService/ListCheckpoints": {"bank_tester", "run_tester", "operator"},
    "/heldout.v1.AuditService/GetTreeHead": AUDIT,
    "/heldout.v1.AuditService/ListEntries": AUDIT,
    "/heldout.v1.AuditService/GetInclusionProof": AUDIT,
    "/heldout.v1.AuditService/GetConsistencyProof": AUDIT,
    "/heldout.v1.AuditService/GetPolicy": AUDIT,
    "/heldout.v1.AuditService/AddCosignature": AUDIT,
    "/heldout.v1.SealService/GetSealStatus": {"operator", "key_holder"},
    "/heldout.v1.SealService/GiveShare": {"key_holder"},
    "/heldout.v1.SealService/Seal": {"operator"},
}


def contract_methods():
    modules = (audit_pb2, bank_pb2, card_pb2, checkpoint_pb2, evaluation_pb2, findings_pb2, seal_pb2)
    services = [service for module in modules for service in module.DESCRIPTOR.services_by_name.values()]
    return sorted(f"/{service.full_name}/{method.name}" for service in services for method in service.methods)


@pytest.fixture(scope="module")
def shipped():
    text = resources.files("heldout_policy").joinpath("defaults", "authorization.cedar").read_text(encoding="utf-8")
    return Authorization.parse(text)


def rule(effect="permit", *, name="one", scope="principal, action, resource", condition=""):
    return f'@id("{name}")\n{effect} ({scope}){condition};\n'


def decide(authorization, *, identity="spiffe://a/b", role="trainer", method="/s/M"):
    return authorization.decide(identity=identity, role=role, method=method)


def test_the_expected_table_covers_the_whole_contract():
    assert contract_methods() == sorted(EXPECTED)


@pytest.mark.parametrize("role", sorted(ROLES))
@pytest.mark.parametrize("method", contract_methods())
def test_every_role_may_call_exactly_what_the_table_says(shipped, role, method):
    decision = decide(shipped, identity=f"spiffe://heldout.example/{role}", role=role, method=method)
    assert decision.allowed == (role in EXPECTED[method])
    assert bool(decision.rules) == decision.allowed


def test_every_method_of_the_contract_is_named_by_a_permit_and_nothing_else_is(shipped):
    assert shipped.methods() == frozenset(EXPECTED)


def test_unknown_methods_and_unknown_roles_are_denied(shipped):
    assert decide(shipped, role="bank_tester", method="/heldout.v1.BankService/Export") == AuthorizationDecision(
        allowed=False, rules=()
    )
    assert not decide(shipped, role="root", method="/heldout.v1.BankService/GetPrompt").allowed


def test_a_decision_quotes_the_rule_by_its_id(shipped):
    decision = decide(shipped, role="bank_tester", method="/heldout.v1.EvaluationService/GetResults")
    assert decision.rules == ("bank-tester-sees-exact-figures",)


def test_all_rules_that_decided_are_quoted_in_sorted_order():
    authorization = Authorization.parse(rule(name="b") + rule(name="a"))
    assert decide(authorization).rules == ("a", "b")


def test_a_forbid_wins_and_is_the_one_quoted():
    authorization = Authorization.parse(
        rule(name="all")
        + rule("forbid", name="revoked", scope='principal == Identity::"spiffe://a/b", action, resource')
    )
    assert decide(authorization) == AuthorizationDecision(allowed=False, rules=("revoked",))
    assert decide(authorization, identity="spiffe://a/c") == AuthorizationDecision(allowed=True, rules=("all",))


def test_a_forbid_that_cannot_be_evaluated_denies():
    failing = rule("forbid", name="broken", condition=" when { principal.clearance > 3 }")
    assert decide(Authorization.parse(rule(name="all") + failing)) == AuthorizationDecision(allowed=False, rules=())


def test_identities_with_quotes_and_newlines_are_only_names():
    authorization = Authorization.parse(rule(scope='principal in Role::"trainer", action, resource'))
    assert not decide(authorization, identity='x" in Role::"trainer', role="auditor").allowed
    assert not decide(authorization, identity="x\ny", role='trainer"').allowed


def test_decisions_are_remembered_apart_and_in_a_bounded_number():
    authorization = Authorization.parse(rule(scope='principal == Identity::"spiffe://a/b", action, resource'))
    assert decide(authorization).allowed
    assert not decide(authorization, identity="spiffe://a/c").allowed
    assert decide(authorization) is decide(authorization)
    assert authorization._cached.cache_info().maxsize == CACHED_DECISIONS


def test_a_permit_without_named_methods_names_none():
    assert Authorization.parse(rule()).methods() == frozenset()


def test_a_forbid_does_not_count_as_naming_a_method():
    named = 'principal, action == Action::"/s/M", resource'
    assert Authorization.parse(rule("forbid", scope=named)).methods() == frozenset()
    assert Authorization.parse(rule(scope=named)).methods() == {"/s/M"}


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("permit (principal, action, resource);", 1, "@id"),
        ("\n\n@id permit (principal, action, resource);", 3, "@id"),
        ('@id("Not An Id") permit (principal, action, resource);', 1, "@id"),
        (rule() + "\n" + rule(), 4, "one"),
        ("", None, ""),
        ("// nothing; only this comment\n", None, ""),
        (rule() + "// fine;\npermit (whoever, action, resource);", 4, ""),
        ('@id("one") permit (principal, action, resource)', 1, ""),
        (rule(scope='principal, action == Action::"a;\n//b", resource') + "permit (", 4, ""),
        ('@id("t")\npermit (principal == ?principal, action, resource);', 1, ""),
    ],
)
def test_documents_that_break_a_rule_are_refused_with_the_line(text, line, key):
    with pytest.raises(PolicyError) as caught:
        Authorization.parse(text)
    assert (caught.value.document, caught.value.line, caught.value.key) == ("authorization.cedar", line, key)


def test_an_error_reads_as_one_line_with_its_place():
    error = PolicyError("no such role", document="principals.toml", line=7, key="role")
    assert str(error) == "principals.toml line 7: role: no such role"
    assert str(PolicyError("is empty", document="release.toml")) == "release.toml: is empty"
