"""Whatever bytes come in: a message that keeps the contract's rules, or one and the same error."""

import pytest
from google.protobuf import message_factory
from hypothesis import given, settings
from hypothesis import strategies as st

from heldout_server.api.contract import methods
from heldout_server.api.gate import ApprovedTexts, Gate
from heldout_server.errors import InvalidRequest

GATE = Gate(ApprovedTexts())
REQUESTS = {name: message_factory.GetMessageClass(method.request) for name, method in methods().items()}
TAGS = st.integers(min_value=0, max_value=0x7F).map(lambda tag: bytes([tag]))
PIECES = st.one_of(st.binary(max_size=40), TAGS, st.sampled_from([b"\x0a\x02\xc3\x28", b"\xff" * 10, b"\x0b\x0b\x0c"]))


@pytest.mark.parametrize("name", sorted(REQUESTS))
@settings(max_examples=40, deadline=None)
@given(pieces=st.lists(PIECES, max_size=6))
def test_a_request_is_a_message_or_an_invalid_request_and_nothing_else(name, pieces):
    content = b"".join(pieces)
    try:
        message = GATE.parse(REQUESTS[name].FromString, content)
    except InvalidRequest:
        return  # anything else that is raised fails the test
    again = GATE.parse(REQUESTS[name].FromString, message.SerializeToString())
    assert again == message
