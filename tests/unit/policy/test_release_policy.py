"""The release policy is read exactly, and whatever is not understood is refused."""

from __future__ import annotations

import hashlib
import math
from decimal import Decimal
from importlib import resources

import pytest
from exact_policy import EXACT
from hypothesis import given
from hypothesis import strategies as st

from heldout_policy.errors import PolicyError
from heldout_policy.release_policy import parse_release_policy, policy_digest

DEFAULT = resources.files("heldout_policy").joinpath("defaults/release.toml").read_text(encoding="utf-8")


def changed(old: str, new: str) -> str:
    assert DEFAULT.count(old) == 1
    return DEFAULT.replace(old, new)


def test_the_shipped_document_says_what_the_design_says():
    policy = parse_release_policy(DEFAULT)

    assert (policy.profile, policy.schedule.slot_s, policy.approval_roles) == ("private", 3600, ())
    assert (policy.bits_per_prompt, policy.releases_per_epoch, policy.full_every) == (8, 25, 5)
    assert (policy.minimum_units_per_cell, policy.grid_fraction) == (30, Decimal("0.5"))
    assert (policy.harmful.technique, policy.harmful.non_answers) == (Decimal("0.45"), Decimal("0.03"))
    assert (policy.harmful.stack, policy.harmful.category) == (Decimal("0.225"), Decimal("0.18"))
    assert (policy.harmful.reserve, policy.benign.reserve) == (Decimal("0.07"), Decimal("0.1"))
    assert (policy.benign.over_refusal, policy.harmful.first_breach) == (Decimal("0.9"), Decimal("0.045"))
    assert (policy.version, policy.anchors_per_epoch, policy.lines, policy.grid_units) == (1, 2, {}, 0)


def test_a_policy_for_development_publishes_without_slots():
    policy = parse_release_policy(changed('publish = "as_planned"\nslot_s = 3600', 'publish = "on_completion"'))

    assert not policy.schedule.is_planned


def test_the_budget_is_bits_times_ln_2_in_billionths_rounded_down():
    policy = parse_release_policy(DEFAULT)

    assert policy.budget_nano_rho == 5_545_177_444  # 8 ln 2 = 5.545177444479…
    assert policy.budget_nano_rho == math.floor(8 * math.log(2) * 1e9)


def test_the_digest_is_over_the_bytes_as_they_were_signed():
    assert policy_digest(b"a = 1\n") == hashlib.sha256(b"a = 1\n").hexdigest()
    assert policy_digest(b"a = 1\n") != policy_digest(b"a = 1")


def test_roles_that_must_approve_are_kept_in_their_order():
    policy = parse_release_policy(changed("roles = []", 'roles = ["run_tester", "bank_tester"]'))

    assert policy.approval_roles == ("run_tester", "bank_tester")


def test_a_fraction_of_a_bit_and_a_whole_share_are_numbers_too():
    text = changed("bits_per_prompt = 8", "bits_per_prompt = 0.5")
    text = text.replace("over_refusal = 0.9", "over_refusal = 1").replace("reserve = 0.1\n", "reserve = 0\n")
    text = text.replace("anchors_per_epoch = 2", "anchors_per_epoch = 0")
    policy = parse_release_policy(text)

    assert policy.budget_nano_rho == 346_573_590
    assert policy.benign.over_refusal == 1


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('profile = "private"', 'profile = "open"', "profile"),
        ("version = 1", "version = 0", "version"),
        ("version = 1", "version = true", "version"),
        ("anchors_per_epoch = 2", "anchors_per_epoch = 9", "anchors_per_epoch"),
        ("anchors_per_epoch = 2", "anchors_per_epoch = 3", "anchors_per_epoch"),
        ("reserve = 0.07", "reserve = 0.0383", "anchors_per_epoch"),
        ("first_breach = 0.045", "first_breach = -0.045", "shares.harmful.first_breach"),
        ('profile = "private"', "profile = 1", "profile"),
        ("bits_per_prompt = 8", "bits_per_prompt = 0", "bits_per_prompt"),
        ("bits_per_prompt = 8", "bits_per_prompt = -1", "bits_per_prompt"),
        ("bits_per_prompt = 8", "bits_per_prompt = 64.1", "bits_per_prompt"),
        ("bits_per_prompt = 8", "bits_per_prompt = nan", "bits_per_prompt"),
        ("bits_per_prompt = 8", "bits_per_prompt = inf", "bits_per_prompt"),
        ("bits_per_prompt = 8", "bits_per_prompt = true", "bits_per_prompt"),
        ("bits_per_prompt = 8", 'bits_per_prompt = "8"', "bits_per_prompt"),
        ("releases_per_epoch = 25", "releases_per_epoch = 0", "releases_per_epoch"),
        ("releases_per_epoch = 25", "releases_per_epoch = 10001", "releases_per_epoch"),
        ("releases_per_epoch = 25", "releases_per_epoch = 25.0", "releases_per_epoch"),
        ("releases_per_epoch = 25", "releases_per_epoch = true", "releases_per_epoch"),
        ("full_every = 5", "full_every = 0", "full_every"),
        ("full_every = 5", "full_every = 26", "full_every"),
        ("minimum_units_per_cell = 30", "minimum_units_per_cell = 1", "minimum_units_per_cell"),
        ("grid_fraction = 0.5", "grid_fraction = 0.51", "grid_fraction"),
        ("grid_fraction = 0.5", "grid_fraction = 0.0", "grid_fraction"),
        ("technique = 0.45", "technique = 0.451", "shares.harmful"),
        ("technique = 0.45", "technique = -0.1", "shares.harmful.technique"),
        ("over_refusal = 0.9", "over_refusal = 1.1", "shares.benign.over_refusal"),
        ("over_refusal = 0.9", "over_refusal = 0.91", "shares.benign"),
        ("roles = []", 'roles = ["trainer"]', "approvals.roles"),
        ("roles = []", 'roles = ["run_tester", "run_tester"]', "approvals.roles"),
        ("roles = []", 'roles = "run_tester"', "approvals.roles"),
        ("roles = []", "roles = [[]]", "approvals.roles"),
        ('publish = "as_planned"', 'publish = "weekly"', "schedule.publish"),
        ("slot_s = 3600", "slot_s = 0", "schedule.slot_s"),
        ("slot_s = 3600", "slot_s = 604801", "schedule.slot_s"),
        ("slot_s = 3600", "slot_s = 0.5", "schedule.slot_s"),
        ('publish = "as_planned"', 'publish = "on_completion"', "schedule.slot_s"),
    ],
)
def test_a_value_out_of_its_rule_is_refused_by_key(old: str, new: str, key: str):
    with pytest.raises(PolicyError) as caught:
        parse_release_policy(changed(old, new))

    assert caught.value.key == key
    assert caught.value.document == "release.toml"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('profile = "private"', 'profile = "private"\nextra = 1', "extra"),
        ("technique = 0.45", "technique = 0.45\nextra = 0.0", "shares.harmful.extra"),
        ("over_refusal = 0.9", "over_refusal = 0.9\nextra = 0.0", "shares.benign.extra"),
        ("roles = []", "roles = []\nextra = []", "approvals.extra"),
        ("slot_s = 3600", "slot_s = 3600\nday = 1", "schedule.day"),
        ("slot_s = 3600\n", "", "schedule.slot_s"),
        ("[shares.benign]", "[shares.other]\n[shares.benign]", "shares.other"),
        ("bits_per_prompt = 8", "", "bits_per_prompt"),
        ("stack = 0.225", "", "shares.harmful.stack"),
        ("roles = []", "", "approvals.roles"),
        ('[schedule]\npublish = "as_planned"\nslot_s = 3600', "", "schedule"),
    ],
)
def test_a_key_too_many_or_too_few_is_refused(old: str, new: str, key: str):
    with pytest.raises(PolicyError) as caught:
        parse_release_policy(changed(old, new))

    assert caught.value.key == key


def test_a_table_that_is_a_value_is_refused():
    text = DEFAULT.split("[shares.harmful]", maxsplit=1)[0] + "shares = 1\n[approvals]\nroles = []\n[schedule]\n"

    with pytest.raises(PolicyError) as caught:
        parse_release_policy(text + 'publish = "on_completion"\n')

    assert caught.value.key == "shares"


def test_the_exact_profile_has_a_grid_in_units_and_neither_budget_nor_shares():
    policy = parse_release_policy(EXACT)

    assert (policy.exact, policy.grid_units, policy.budget_nano_rho) == (True, 5, 0)
    for line in ("bits_per_prompt = 8", "grid_fraction = 0.5"):
        with pytest.raises(PolicyError, match="no such key"):
            parse_release_policy(f"{line}\n{EXACT}")
    with pytest.raises(PolicyError, match=r"gird_units: no such key; did you mean grid_units\?"):
        parse_release_policy(EXACT.replace("grid_units", "gird_units"))
    with pytest.raises(PolicyError, match="line 1: grid_units: missing"):
        parse_release_policy(EXACT.replace("grid_units = 5\n", ""))


def test_lines_have_quotas_that_an_epoch_can_pay():
    policy = parse_release_policy(f"{DEFAULT}\n[lines]\nnova-pro = 15\nnova-lite = 10\n")

    assert policy.lines == {"nova-pro": 15, "nova-lite": 10}
    assert policy.releases_granted == 25


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        ("nova-pro = 15\nnova-lite = 11", "lines"),
        ("", "lines"),
        ("nova-pro = 0", "lines.nova-pro"),
        ("nova-pro = 26", "lines.nova-pro"),
        ("Nova = 1", "lines.Nova"),
        ('nova = "all"', "lines.nova"),
    ],
)
def test_what_is_wrong_with_lines_is_named(lines: str, key: str):
    with pytest.raises(PolicyError) as caught:
        parse_release_policy(f"{DEFAULT}\n[lines]\n{lines}\n")

    assert caught.value.key == key
    assert caught.value.line is not None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("full_every = 5", "full_every = 26", "full_every"),
        ("technique = 0.45", "technique = 2", "shares.harmful.technique"),
        ("over_refusal = 0.9", "extra = 0.9", "shares.benign.extra"),
        ('publish = "as_planned"', 'publish = "weekly"', "schedule.publish"),
    ],
)
def test_an_error_names_the_line_and_the_key(old: str, new: str, says: str):
    text = changed(old, new)
    line = next(number for number, one in enumerate(text.splitlines(), start=1) if one.startswith(new))

    with pytest.raises(PolicyError) as caught:
        parse_release_policy(text)

    assert str(caught.value).startswith(f"release.toml line {line}: {says}: ")


def test_a_key_that_is_missing_is_looked_for_in_its_section():
    text = changed("over_refusal = 0.9\n", "")
    header = text.splitlines().index("[shares.benign]") + 1

    with pytest.raises(PolicyError, match=f"line {header}: shares.benign.over_refusal: missing"):
        parse_release_policy(text)


def test_a_slip_of_the_pen_is_named_by_its_line():
    with pytest.raises(PolicyError, match=r"release\.toml line 3: not TOML"):
        parse_release_policy("version = 1\nprofile = 'private'\nx =\n")


@pytest.mark.parametrize("text", ["profile =", "a = 1\na = 2\n", "a = 1e9999999999999999999\n", "a = " + "9" * 5000])
def test_what_is_not_toml_is_refused(text: str):
    with pytest.raises(PolicyError, match="not TOML"):
        parse_release_policy(text)


@given(st.lists(st.integers(0, 1000), min_size=6, max_size=6))
def test_shares_hold_only_while_they_sum_to_at_most_one(thousandths: list[int]):
    before, after = DEFAULT.replace("anchors_per_epoch = 2", "anchors_per_epoch = 0").split("[shares.harmful]")
    names = ("technique", "non_answers", "stack", "first_breach", "category", "reserve")
    lines = [f"{name} = {Decimal(share) / 1000:f}" for name, share in zip(names, thousandths, strict=True)]
    text = "\n".join([before, "[shares.harmful]", *lines, "[shares.benign]", after.split("[shares.benign]")[1]])

    if sum(thousandths) <= 1000:
        shares = parse_release_policy(text).harmful
        assert [int(getattr(shares, name) * 1000) for name in names] == thousandths
    else:
        with pytest.raises(PolicyError, match="sum to more than 1"):
            parse_release_policy(text)
