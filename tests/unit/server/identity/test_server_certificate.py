import contextlib
from datetime import UTC, datetime

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heldout_server.errors import ConfigError
from heldout_server.identity import verify_server_certificate
from heldout_server.installation.pki import LEAF_LIFE, Authority

NOW_S = datetime(2026, 5, 1, tzinfo=UTC).timestamp()
NAMES = [x509.DNSName("localhost")]


@pytest.fixture(scope="module")
def parts():
    authority = Authority("lab", now_s=NOW_S)
    issued = authority.issue_server("server", NAMES)
    return {"authority": authority.itself().certificate, "certificate": issued.certificate, "key": issued.key}


def test_what_belongs_together_is_taken(parts):
    verify_server_certificate(**parts, now_s=NOW_S)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"authority": b""}, "CA_MALFORMED"),
        ({"certificate": b"-----BEGIN CERTIFICATE-----\nhalf of"}, "CERTIFICATE_MALFORMED"),
        ({"key": b""}, "KEY_MALFORMED"),
        ({"key": Authority("other", now_s=NOW_S).itself().key}, "KEY_OF_ANOTHER"),
        ({"now_s": NOW_S + LEAF_LIFE.total_seconds() + 60}, "CERTIFICATE_NOT_VALID"),
        ({"now_s": NOW_S - 3600}, "CERTIFICATE_NOT_VALID"),
    ],
)
def test_what_does_not_belong_together_is_refused_with_its_reason(parts, change, reason):
    with pytest.raises(ConfigError) as refused:
        verify_server_certificate(**{"now_s": NOW_S, **parts, **change})
    assert refused.value.reason == reason


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_certificates_that_were_damaged_anywhere_are_taken_whole_or_refused_with_a_reason(parts, data):
    name = data.draw(st.sampled_from(["authority", "certificate", "key"]))
    place = data.draw(st.integers(min_value=0, max_value=len(parts[name]) - 1))
    damage = data.draw(st.binary(max_size=8))
    damaged = parts[name][:place] + damage + parts[name][place + len(damage) :]
    with contextlib.suppress(ConfigError):
        verify_server_certificate(**{**parts, name: damaged}, now_s=NOW_S)
