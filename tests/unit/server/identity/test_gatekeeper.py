import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout_policy.authorization import Authorization
from heldout_policy.principals import ROLES, Principals, parse_principals
from heldout_server.domain import Principal, Role
from heldout_server.identity import CertificateGatekeeper
from heldout_server.ports.identity import Decision

TRAINER = "spiffe://a.example/trainer"
METHOD = "/heldout.v1.FindingsService/GetBudget"
CEDAR = f"""
@id("trainer-reads")
permit (principal in Role::"trainer", action == Action::"{METHOD}", resource);
"""


@pytest.fixture
def gatekeeper() -> CertificateGatekeeper:
    principals = parse_principals(
        f'trust_domain = "a.example"\n'
        f'[[principal]]\nidentity = "{TRAINER}"\nrole = "trainer"\n'
        f'[[principal]]\nidentity = "spiffe://a.example/auditor"\nrole = "auditor"\n'
    )
    return CertificateGatekeeper(principals, Authorization.parse(CEDAR))


def context(*uris, **others):
    return {"peer_uri": list(uris), **others}


def test_the_one_uri_name_of_a_certificate_is_the_identity(gatekeeper):
    found = gatekeeper.identify(context(TRAINER.encode(), x509_common_name=[b"whatever"]))
    assert found == Principal(identity=TRAINER, role=Role.TRAINER)


@pytest.mark.parametrize(
    "auth_context",
    [
        {},
        {"peer_identities": [TRAINER.encode()], "x509_common_name": [TRAINER.encode()]},
        context(),
        context(TRAINER.encode(), TRAINER.encode()),
        context(TRAINER.encode(), b"spiffe://a.example/auditor"),
        context(b"spiffe://a.example/nobody"),
        context(b"spiffe://b.example/trainer"),
        context(TRAINER.encode() + b"/"),
        context(TRAINER.upper().encode()),
        context(b"\xff\xfe"),
        context(b""),
    ],
)
def test_anything_else_is_nobody(gatekeeper, auth_context):
    assert gatekeeper.identify(auth_context) is None


def test_calls_are_decided_by_the_rules_and_the_rule_is_named(gatekeeper):
    trainer = Principal(TRAINER, Role.TRAINER)
    assert gatekeeper.decide(trainer, METHOD) == Decision(allowed=True, rules=("trainer-reads",))
    assert gatekeeper.decide(trainer, METHOD + "s") == Decision(allowed=False, rules=())
    auditor = Principal("spiffe://a.example/auditor", Role.AUDITOR)
    assert gatekeeper.decide(auditor, METHOD) == Decision(allowed=False, rules=())


def test_policy_and_domain_know_the_same_roles():
    assert {role.value for role in Role} == ROLES


def test_principals_that_are_replaced_hold_at_once_and_alone(gatekeeper):
    connection = context(TRAINER.encode())
    assert gatekeeper.identify(connection) is not None
    gatekeeper.replace(
        parse_principals(
            'trust_domain = "a.example"\n[[principal]]\nidentity = "spiffe://a.example/new"\nrole = "operator"'
        )
    )
    assert gatekeeper.identify(connection) is None
    assert gatekeeper.role_of(TRAINER) is None
    assert gatekeeper.role_of("spiffe://a.example/new") == "operator"
    assert gatekeeper.identify(context(b"spiffe://a.example/new")).role is Role.OPERATOR


URI_BYTES = st.one_of(st.just(TRAINER.encode()), st.binary(max_size=20), st.text(max_size=20).map(str.encode))


@given(
    st.lists(URI_BYTES, max_size=3), st.dictionaries(st.text(max_size=8), st.lists(st.binary(max_size=8)), max_size=3)
)
def test_whatever_names_a_connection_has_only_one_known_uri_is_somebody(uris, others):
    authorization = Authorization.parse(CEDAR)
    principals = Principals(trust_domain="a.example", roles={TRAINER: "trainer"})
    found = CertificateGatekeeper(principals, authorization).identify({**others, "peer_uri": uris})
    assert (found is not None) == (uris == [TRAINER.encode()])
