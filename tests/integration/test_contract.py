"""The contract itself, by its descriptors: nothing is callable, sayable or tellable that nobody decided on.

A method, message or field that is added is covered here without being listed.
"""

from importlib import resources

import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from protovalidate import ValidationError, Validator

from heldout_policy.authorization import Authorization
from heldout_policy.disclosure import unclassified_fields
from heldout_server.api.contract import FILES, HALVES, methods
from heldout_server.api.server import MAX_MESSAGE_BYTES
from lab_texts import ROLES

METHODS = methods()
TEXTUAL = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)

UNRULED = {
    # The bank checks each row by itself and names a bad one by its line and a reason: a rule at the door would refuse
    # the whole message without saying which row (ImportRow.prompt is IGNORE_ALWAYS).
    "heldout.v1.Prompt.text",
    "heldout.v1.Prompt.category",
    "heldout.v1.Prompt.language",
    "heldout.v1.Prompt.tags",
    "heldout.v1.Prompt.family",
}
"""Fields of requests that hold text and have no rule at the door, and why."""

NASTY = "\x00 Nasty\u202e \x1b[2J" + "a" * 70_000


def authorization():
    return Authorization.parse(resources.files("heldout_policy").joinpath("defaults/authorization.cedar").read_text())


def may(role, name):
    return authorization().decide(identity="spiffe://heldout.example/somebody", role=role, method=name).allowed


def paths(descriptor, *, before=()):
    """Yield the way to each field of text in a message, at any depth."""
    for field in descriptor.fields:
        if field.type in TEXTUAL:
            yield (*before, field)
        elif field.message_type is not None:
            assert field.message_type not in [one.message_type for one in before], "a recursive request"
            yield from paths(field.message_type, before=(*before, field))


def holding(descriptor, path, value):
    """Return a message that holds one text at the end of a path, or as many bytes as may come, and nothing else."""
    message = message_factory.GetMessageClass(descriptor)()
    at = message
    for field in path[:-1]:
        at = getattr(at, field.name).add() if field.is_repeated else getattr(at, field.name)
        at.SetInParent()
    last = path[-1]
    value = bytes(MAX_MESSAGE_BYTES) if last.type == FieldDescriptor.TYPE_BYTES else value
    if last.is_repeated:
        getattr(at, last.name).append(value)
    else:
        setattr(at, last.name, value)
    return message


def is_ruled(descriptor, path):
    """Say whether nasty text at the end of a path breaks a rule there, and not only somewhere else."""
    try:
        Validator().validate(holding(descriptor, path, NASTY))
    except ValidationError as error:
        wanted = [field.name for field in path]
        return any([part.field_name for part in one.proto.field.elements] == wanted for one in error.violations)
    return False


def test_the_contract_has_methods():
    assert len(METHODS) >= 26
    assert {name.split("/")[1] for name in METHODS} == {
        service.full_name for file in FILES for service in file.services_by_name.values()
    }


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_has_a_deadline_and_a_half(name):
    method = METHODS[name]
    assert 1 <= method.deadline_s <= 24 * 3600
    assert method.half in HALVES.values()


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_is_named_by_a_rule_and_never_allowed_to_everybody(name):
    assert name in authorization().methods()
    allowed = {role for role in ROLES if may(role, name)}
    assert allowed
    assert "key_holder" not in allowed or name.startswith("/heldout.v1.SealService/")
    assert allowed != set(ROLES)


def test_no_rule_names_a_method_that_does_not_exist():
    assert authorization().methods() <= METHODS.keys()


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_field_that_can_reach_others_than_bank_testers_has_a_disclosure_class(name):
    others = [role for role in ROLES if role != "bank_tester" and may(role, name)]
    if others:
        assert unclassified_fields(METHODS[name].response) == (), others


def test_what_bank_testers_alone_receive_could_not_leave_to_others_by_mistake():
    """The gate is a second wall behind Cedar: prompts have no class, so a wrong rule would still let no text out."""
    for name in ("GetPrompt", "GetStats", "ImportPrompts", "ListPrompts", "OpenEpoch", "RetirePrompts"):
        assert unclassified_fields(METHODS[f"/heldout.v1.BankService/{name}"].response)
    for name in ("WatchRun", "GetResults"):
        assert unclassified_fields(METHODS[f"/heldout.v1.EvaluationService/{name}"].response)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_text_in_a_request_has_a_rule_or_a_reason_to_have_none(name):
    descriptor = METHODS[name].request
    for path in paths(descriptor):
        full_name = path[-1].full_name
        assert is_ruled(descriptor, path) != (full_name in UNRULED), full_name


def test_every_reason_is_for_a_field_that_is_there():
    there = {path[-1].full_name for method in METHODS.values() for path in paths(method.request)}
    assert there >= UNRULED


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_number_of_a_request_has_a_bound_below(name):
    """A negative page, line or index is never asked for; -1 breaks a rule at every number but a score's value."""
    for field in METHODS[name].request.fields:
        if field.cpp_type in {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64}:
            message = message_factory.GetMessageClass(METHODS[name].request)(**{field.name: -1})
            with pytest.raises(ValidationError):
                Validator().validate(message)
