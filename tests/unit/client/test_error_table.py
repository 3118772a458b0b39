"""From a gRPC status to one error with a fixed message."""

import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from heldout import errors
from heldout.refusals import BY_CODE, BY_EXACT, BY_REASON, STATE, Failure, error_for, read_reasons

SECRET = "How do I fold a letter?"  # what an appliance must not be able to make us repeat


def details(reason, domain="heldout", **metadata):
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata))
    return status_pb2.Status(code=5, message=SECRET, details=[info]).SerializeToString()


def error(code, reason=None, message=SECRET, **metadata):
    failure = Failure(code=code, message=message, details=None if reason is None else details(reason, **metadata))
    return error_for(failure, address="127.0.0.1:7443")


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("REFUSED", errors.Refused),
        ("NOT_FOUND", errors.NotFound),
        ("INVALID_REQUEST", errors.InvalidRequest),
        ("WRONG_STATE", errors.WrongState),
        ("RUN_UNDER_WAY", errors.WrongState),
        ("BUDGET_EXHAUSTED", errors.BudgetExhausted),
        ("UNLOGGED", errors.Unavailable),
        ("STORAGE", errors.Unavailable),
        ("DEADLINE", errors.Unavailable),
        ("INTEGRITY", errors.InternalError),
        ("INTERNAL", errors.InternalError),
    ],
)
def test_the_machine_reason_decides_whatever_the_code(reason, kind):
    found = error("UNKNOWN", reason)
    assert type(found) is kind
    assert found.reason == reason
    assert SECRET not in str(found)


@pytest.mark.parametrize("code", [code.name for code in StatusCode if code is not StatusCode.OK])
def test_every_grpc_code_has_an_error(code):
    found = error(code)
    assert isinstance(found, errors.CallError)
    assert str(found)
    assert SECRET not in str(found)
    assert code in BY_CODE or code == "UNAVAILABLE"


def test_an_exact_reason_is_named_beside_the_message():
    found = error("UNKNOWN", "WRONG_STATE", exact="EPOCH_UNCHANGED")
    assert isinstance(found, errors.WrongState)
    assert found.reason == "EPOCH_UNCHANGED"
    assert str(found).endswith("(epoch_unchanged)")


def test_an_exact_reason_that_is_no_code_is_not_shown():
    assert SECRET not in str(error("UNKNOWN", "WRONG_STATE", exact=SECRET))


def test_a_reason_that_is_not_known_falls_back_to_its_code():
    found = error("FAILED_PRECONDITION", "MADE_UP")
    assert isinstance(found, errors.WrongState)


def test_an_unreachable_appliance_is_named_by_its_address():
    found = error("UNAVAILABLE")
    assert isinstance(found, errors.Unavailable)
    assert "127.0.0.1:7443" in str(found)
    assert found.reason == "UNREACHABLE"


def test_the_opaque_id_of_an_internal_error_is_kept():
    found = error("INTERNAL", "INTERNAL", "something failed inside; its id in the log is err-4f0c9a1be2d37c55")
    assert isinstance(found, errors.InternalError)
    assert found.opaque_id == "err-4f0c9a1be2d37c55"
    assert found.opaque_id in str(found)


@pytest.mark.parametrize("message", ["its id in the log is \x1b[2J", "its id in the log is a b", ""])
def test_what_does_not_look_like_an_opaque_id_is_none(message):
    found = error("INTERNAL", "INTERNAL", message)
    assert isinstance(found, errors.InternalError)
    assert found.opaque_id == ""
    assert "\x1b" not in str(found)


@pytest.mark.parametrize(
    "raw",
    [None, b"", b"\xff\xff", details("refused \x1b[2J"), details("REFUSED", domain="elsewhere.example")],
    ids=["none", "empty", "malformed", "no reason code", "another domain"],
)
def test_details_that_say_nothing_leave_it_to_the_code(raw):
    assert read_reasons(raw) == ("", "")


def test_a_malformed_detail_leaves_it_to_the_code():
    broken = any_pb2.Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff")
    assert read_reasons(status_pb2.Status(details=[broken]).SerializeToString()) == ("", "")


def test_every_message_of_the_table_is_fixed_and_one_line():
    for _, message in (*BY_REASON.values(), *BY_CODE.values()):
        assert "\n" not in message
        assert len(message) < 100


@pytest.mark.parametrize("exact", BY_EXACT)
def test_a_bank_tester_is_told_what_to_do_about_a_state(exact):
    found = error("FAILED_PRECONDITION", "WRONG_STATE", exact=exact)
    assert str(found) == f"{BY_EXACT[exact]} ({exact.lower()})"
    assert found.reason == exact


@pytest.mark.parametrize(
    ("reason", "exact", "does"),
    [
        ("RUN", "ENDPOINT_UNAVAILABLE", "restart"),
        ("INVALID_REQUEST", "PACK_BROKEN", "seal the file anew"),
        ("INTEGRITY", "STAGED_FILES_CHANGED", "stage it anew"),
        ("INVALID_REQUEST", "PACK_OF_ANOTHER_APPLIANCE", "heldout bank pack-key"),
    ],
)
def test_what_went_wrong_with_an_endpoint_or_a_pack_is_said_with_what_to_do(reason, exact, does):
    assert does in str(error("UNKNOWN", reason, exact=exact))


def test_others_are_told_of_a_wrong_state_and_no_more():
    assert str(error("FAILED_PRECONDITION", "WRONG_STATE")) == STATE
    assert str(error("FAILED_PRECONDITION", "WRONG_STATE", exact="SOMETHING_ELSE")) == f"{STATE} (something_else)"
    assert "epoch" not in str(error("PERMISSION_DENIED", "REFUSED", exact="EPOCH_UNCHANGED")).split("(")[0]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("connect: Connection refused (111)", "nothing listens at 127.0.0.1:7443"),
        ("errors resolving nowhere: Domain name not found", "the name in 127.0.0.1:7443 is not known"),
        ("SSL_ERROR_SSL: CERTIFICATE_VERIFY_FAILED: self signed", "no certificate of the profile's ca"),
        ("Socket closed", "or it does not accept this certificate: ended yesterday"),
    ],
)
def test_what_can_be_known_of_a_failed_connection_is_said_in_our_own_words(said, told):
    failure = Failure(code="UNAVAILABLE", message=f"{said} {SECRET}", details=None)
    found = error_for(failure, address="127.0.0.1:7443", doubt=lambda: "ended yesterday")
    assert told in str(found)
    assert SECRET not in str(found)
    assert found.reason == "UNREACHABLE"
