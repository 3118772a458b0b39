"""The egress gate lets a message out whole or not at all."""

import pytest
from google.protobuf import descriptor_pb2, struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from heldout_policy.disclosure import NotDisclosable, disclosure_of, unclassified_fields, verify_disclosable
from heldout_proto.v1 import audit_pb2, bank_pb2, evaluation_pb2, findings_pb2, options_pb2

NO_TEXTS = frozenset()


def _release(**fields):
    tables = [findings_pb2.Table(kind=1, rows=[findings_pb2.Row(key="persona", units=200, count=-3)])]
    return findings_pb2.Release(release_id="rel-1", published_s=120, tables=tables, **fields)


def _refused(message, texts=NO_TEXTS):
    with pytest.raises(NotDisclosable) as caught:
        verify_disclosable(message, approved_texts=texts)
    return caught.value.field


def test_a_release_of_registered_names_and_grid_integers_leaves():
    verify_disclosable(_release(policy_digest="a" * 64), approved_texts=NO_TEXTS)


def test_a_message_of_the_bank_never_leaves():
    assert _refused(bank_pb2.GetPromptResponse(handle="p1")) == "heldout.v1.GetPromptResponse.handle"
    assert _refused(bank_pb2.GetPromptResponse(prompt=bank_pb2.Prompt(text="x"))) == "heldout.v1.Prompt.text"


def test_exact_progress_and_figures_never_leave():
    assert _refused(evaluation_pb2.WatchRunResponse(finished_trials=1)).endswith("finished_trials")
    assert _refused(evaluation_pb2.GetResultsResponse(rows=[evaluation_pb2.ExactRow(rate=0.5)])).endswith(
        "ExactRow.rate"
    )


@pytest.mark.parametrize("name", ["two words", "tab\t", "é", "x" * 300, "", " ", "-dash"])
def test_an_identifier_has_no_room_for_prose(name):
    message = findings_pb2.Row(key=name)
    if name == "":
        verify_disclosable(message, approved_texts=NO_TEXTS)
    else:
        assert _refused(message) == "heldout.v1.Row.key"


def test_a_digest_field_takes_nothing_but_a_digest():
    assert _refused(_release(policy_digest="deadbeef")) == "heldout.v1.Release.policy_digest"


def test_a_time_is_a_whole_minute():
    assert _refused(findings_pb2.Release(published_s=61)) == "heldout.v1.Release.published_s"


def test_card_text_leaves_only_word_for_word():
    card = findings_pb2.Card(technique="persona", title="Persona")
    verify_disclosable(card, approved_texts=frozenset({"Persona"}))
    assert _refused(card, frozenset({"persona"})) == "heldout.v1.Card.title"


def test_an_enum_number_that_the_contract_does_not_know_stays():
    assert _refused(findings_pb2.Table(kind=77)) == "heldout.v1.Table.kind"


def test_a_proof_has_a_bound():
    verify_disclosable(audit_pb2.GetTreeHeadResponse(checkpoint="x"), approved_texts=NO_TEXTS)
    assert _refused(audit_pb2.GetTreeHeadResponse(checkpoint="x" * (2 << 20))).endswith("checkpoint")


def test_an_unknown_field_stays():
    smuggled = findings_pb2.Budget.FromString(
        findings_pb2.Budget(epoch_id="e1").SerializeToString() + b"\xfa\x01\x03abc"
    )
    assert _refused(smuggled) == "heldout.v1.Budget"


def test_a_message_from_elsewhere_and_a_map_stay():
    assert _refused(descriptor_pb2.FileDescriptorProto(name="x")) == "google.protobuf.FileDescriptorProto.name"
    # Struct's only field is a map, which has no class and is not walked.
    struct = struct_pb2.Struct()
    struct["x"] = 1
    assert _refused(struct) == "google.protobuf.Struct.fields"
    assert "google.protobuf.Struct.fields" in unclassified_fields(struct_pb2.Struct.DESCRIPTOR)


def test_unclassified_fields_are_found_at_any_depth():
    assert "heldout.v1.Prompt.text" in unclassified_fields(bank_pb2.GetPromptResponse.DESCRIPTOR)
    assert unclassified_fields(findings_pb2.ListReleasesResponse.DESCRIPTOR) == ()


def test_a_type_that_holds_itself_is_walked_once():
    found = unclassified_fields(descriptor_pb2.DescriptorProto.DESCRIPTOR)
    assert "google.protobuf.DescriptorProto.name" in found
    assert len(found) == len(set(found))


def test_every_field_of_the_findings_and_the_audit_has_a_class():
    for file in (findings_pb2.DESCRIPTOR, audit_pb2.DESCRIPTOR):
        for service in file.services_by_name.values():
            for method in service.methods:
                assert unclassified_fields(method.output_type) == ()


def test_the_class_of_a_field_is_the_one_declared():
    field = findings_pb2.Row.DESCRIPTOR.fields_by_name["count"]
    assert disclosure_of(field) == options_pb2.DISCLOSURE_NOISED


@given(st.text(min_size=1))
def test_whatever_passes_as_an_identifier_has_no_spaces_and_is_short(text):
    try:
        verify_disclosable(findings_pb2.Row(key=text), approved_texts=NO_TEXTS)
    except NotDisclosable:
        return
    assert len(text) <= 256
    assert text.isascii()
    assert not any(character.isspace() for character in text)
