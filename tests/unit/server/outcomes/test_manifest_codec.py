"""The canonical form of a manifest and its digest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout_server.domain import Manifest, Sampling, TrustClass
from heldout_server.errors import IntegrityError, InvalidRequest
from heldout_server.outcomes.manifest import decode, encode, manifest_digest

NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)


def test_a_manifest_comes_back_as_it_went_in(make):
    one = make(attempts=3, deadline_s=1.5, stacks=(("a", "b"), ("b",)))
    assert decode(encode(one)) == one


MANIFESTS = st.builds(
    Manifest,
    checkpoint=st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
    checkpoint_digest=NAMES,
    line=NAMES,
    epoch_id=NAMES,
    epoch_commitment=NAMES,
    techniques=st.lists(NAMES, max_size=4).map(tuple),
    stacks=st.lists(st.lists(NAMES, min_size=1, max_size=3).map(tuple), max_size=4).map(tuple),
    judge=NAMES,
    judge_digest=NAMES,
    policy_digest=NAMES,
    runtime=NAMES,
    trust=st.sampled_from(TrustClass),
    sampling=st.builds(Sampling, temperature=st.floats(0, 2), top_p=st.floats(0, 1), seed=st.integers()),
    attempts=st.integers(1, 100),
    deadline_s=st.floats(0, 1e9),
)


@given(MANIFESTS)
def test_any_manifest_comes_back(one):
    assert decode(encode(one)) == one


def test_the_form_is_compact_sorted_and_complete(make):
    text = encode(make(checkpoint="é"))
    values = json.loads(text)
    assert text == json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert set(values) == {field.name for field in fields(Manifest)}
    assert set(values["sampling"]) == {field.name for field in fields(Sampling)}
    assert "é" in text


def test_the_digest_is_over_the_canonical_form(make):
    assert manifest_digest(make()) == hashlib.sha256(encode(make()).encode()).hexdigest()


def test_equal_manifests_have_equal_digests_whatever_their_number_types(make):
    whole = make(deadline_s=30, sampling=Sampling(temperature=0, top_p=1))
    floating = make(deadline_s=30.0, sampling=Sampling(temperature=0.0, top_p=1.0))
    assert whole == floating
    assert manifest_digest(whole) == manifest_digest(floating)


@pytest.mark.parametrize("field", [field.name for field in fields(Manifest)])
def test_changing_any_field_changes_the_digest(make, field):
    other = {
        "techniques": ("plain",),
        "stacks": (),
        "trust": TrustClass.EXPOSED,
        "sampling": Sampling(seed=8),
        "attempts": 2,
        "deadline_s": 31.0,
    }
    assert manifest_digest(replace(make(), **{field: other.get(field, "another")})) != manifest_digest(make())


def test_the_order_of_techniques_is_part_of_the_digest(make):
    assert manifest_digest(make(techniques=("a", "b"))) != manifest_digest(make(techniques=("b", "a")))


@pytest.mark.parametrize("changes", [{"deadline_s": float("inf")}, {"sampling": Sampling(temperature=float("nan"))}])
def test_a_number_that_is_not_finite_is_refused(make, changes):
    with pytest.raises(InvalidRequest):
        encode(make(**changes))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "7", '{"techniques":[],"stacks":[],"trust":"contained","sampling":{}}']
)
def test_a_broken_manifest_is_an_integrity_error(text):
    with pytest.raises(IntegrityError):
        decode(text)


def test_an_unknown_field_is_an_integrity_error(make):
    values = json.loads(encode(make())) | {"more": 1}
    with pytest.raises(IntegrityError):
        decode(json.dumps(values))
