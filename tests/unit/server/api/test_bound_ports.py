"""A port that cannot be had: what has happened, and what to do."""

import socket

import pytest

from heldout_server.api.server import Health
from heldout_server.errors import ConfigError


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield f"127.0.0.1:{other.getsockname()[1]}"


async def test_a_port_that_is_in_use_is_named_with_what_to_do(taken):
    with pytest.raises(ConfigError) as caught:
        await Health().start(taken)
    problem, remedy = str(caught.value).split("\n")
    assert problem == f"listen.health_address: {taken} is in use"
    assert "set another port" in remedy


async def test_an_address_of_another_machine_is_not_called_in_use():
    with pytest.raises(ConfigError, match="cannot be bound") as caught:
        await Health().start("192.0.2.1:7443")  # RFC 5737: nobody's
    assert "in use" not in str(caught.value)
