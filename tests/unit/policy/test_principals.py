from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout_policy.errors import PolicyError
from heldout_policy.principals import ROLES, SEPARATED, parse_principals

HEAD = 'trust_domain = "a.example"\n'


def entry(path="someone", role="trainer", domain="a.example"):
    return f'[[principal]]\nidentity = "spiffe://{domain}/{path}"\nrole = "{role}"\n'


def refused(text):
    with pytest.raises(PolicyError) as caught:
        parse_principals(text)
    assert caught.value.document == "principals.toml"
    return caught.value


def test_the_shipped_document_has_one_identity_for_each_role():
    text = resources.files("heldout_policy").joinpath("defaults", "principals.toml").read_text(encoding="utf-8")
    principals = parse_principals(text)
    assert principals.trust_domain == "heldout.example"
    assert principals.roles == {f"spiffe://heldout.example/{role.replace('_', '-')}": role for role in sorted(ROLES)}


def test_identities_map_to_roles_and_others_to_none():
    principals = parse_principals(HEAD + entry("one") + entry("deep/er", role="auditor"))
    assert principals.role_of("spiffe://a.example/one") == "trainer"
    assert principals.role_of("spiffe://a.example/deep/er") == "auditor"
    assert principals.role_of("spiffe://a.example/two") is None


def test_what_was_read_cannot_be_changed():
    with pytest.raises(TypeError):
        parse_principals(HEAD + entry()).roles["spiffe://a.example/someone"] = "bank_tester"


@pytest.mark.parametrize("roles", [("trainer", "bank_tester"), ("bank_tester", "trainer")])
def test_nobody_is_both_trainer_and_bank_tester(roles):
    error = refused(HEAD + entry(role=roles[0]) + entry(role=roles[1]))
    assert "both trainer and bank_tester" in str(error)
    assert (error.line, error.key) == (6, "identity")


@given(st.permutations(sorted(ROLES)).map(lambda roles: roles[:2]))
def test_nobody_has_two_roles_whichever_they_are(roles):
    error = refused(HEAD + entry(role=roles[0]) + entry(role=roles[1]))
    assert error.line == 6
    assert ("both trainer and bank_tester" in str(error)) == (set(roles) == SEPARATED)


def test_an_identity_that_stands_twice_with_one_role_is_refused_too():
    error = refused(HEAD + entry() + entry())
    assert str(error) == (
        "principals.toml line 6: identity: spiffe://a.example/someone stands twice; an identity has one role"
    )


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("trust_domain = \n", 1, ""),
        ('trust_domain = "a', None, ""),
        (entry(), None, "trust_domain"),
        ('trust_domain = "A.example"\n' + entry(), 1, "trust_domain"),
        ("trust_domain = 3\n" + entry(), 1, "trust_domain"),
        (HEAD, None, "principal"),
        (HEAD + "principal = 3\n", 2, "principal"),
        (HEAD + "principal = []\n", 2, "principal"),
        (HEAD + "principal = [3]\n", 2, "principal"),
        (HEAD + 'rolez = "x"\n' + entry(), 2, "rolez"),
        (HEAD + entry() + "[roles]\na = 1\n", 5, "roles"),
        (HEAD + entry() + entry("b") + 'since = "today"\n', 8, "since"),
        (HEAD + entry(role="trainr"), 4, "role"),
        (HEAD + '[[principal]]\nidentity = "spiffe://a.example/x"\nrole = 1\n', 4, "role"),
        (HEAD + '[[principal]]\nidentity = "spiffe://a.example/x"\n', 2, "role"),
        (HEAD + '[[principal]]\nrole = "trainer"\n', 2, "identity"),
        (HEAD + '[[principal]]\nidentity = 1\nrole = "trainer"\n', 3, "identity"),
        (HEAD + entry(domain="b.example"), 3, "identity"),
        (HEAD + entry(path=""), 3, "identity"),
        (HEAD + entry(path="a//b"), 3, "identity"),
        (HEAD + entry(path="a/../b"), 3, "identity"),
        (HEAD + entry(path="."), 3, "identity"),
        (HEAD + entry(path="A"), 3, "identity"),
        (HEAD + entry(path="a?b"), 3, "identity"),
        (HEAD + entry(path="a" * 300), 3, "identity"),
    ],
)
def test_documents_that_break_a_rule_are_refused_with_line_and_key(text, line, key):
    error = refused(text)
    assert (error.line, error.key) == (line, key)


def test_a_repeated_key_is_a_syntax_error_and_not_a_choice():
    error = refused(HEAD + HEAD + entry())
    assert error.line == 2
