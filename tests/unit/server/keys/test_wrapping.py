import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout_server.errors import IntegrityError
from heldout_server.keys.wrapping import Wrapper

KEYS = st.binary(min_size=32, max_size=32)
PURPOSES = st.text(max_size=40).filter(lambda text: text.isprintable())


def wrapper(root=bytes(32), salt=b"salt", use="test"):
    return Wrapper.derived(root, salt=salt, use=use)


@given(root=KEYS, key=KEYS, purpose=PURPOSES)
def test_what_was_wrapped_unwraps(root, key, purpose):
    wrapped = wrapper(root).wrap(key, purpose=purpose)
    assert len(wrapped) == 60
    assert wrapper(root).unwrap(wrapped, purpose=purpose) == key


@given(key=KEYS, purposes=st.lists(PURPOSES, min_size=2, max_size=2, unique=True))
def test_no_other_purpose_unwraps(key, purposes):
    wrapped = wrapper().wrap(key, purpose=purposes[0])
    with pytest.raises(IntegrityError):
        wrapper().unwrap(wrapped, purpose=purposes[1])


@given(key=KEYS, position=st.integers(0, 59), flip=st.integers(1, 255))
def test_no_changed_byte_unwraps(key, position, flip):
    wrapped = bytearray(wrapper().wrap(key, purpose="p"))
    wrapped[position] ^= flip
    with pytest.raises(IntegrityError):
        wrapper().unwrap(bytes(wrapped), purpose="p")


@given(st.binary(max_size=80))
def test_noise_does_not_unwrap(noise):
    with pytest.raises(IntegrityError) as caught:
        wrapper().unwrap(noise, purpose="p")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("other", [{"root": bytes(31) + b"1"}, {"salt": b"other"}, {"use": "other"}])
def test_roots_salts_and_uses_have_unrelated_keys(other):
    wrapped = wrapper().wrap(bytes(32), purpose="p")
    with pytest.raises(IntegrityError):
        wrapper(**other).unwrap(wrapped, purpose="p")


def test_wrapping_twice_never_gives_the_same_bytes():
    assert wrapper().wrap(bytes(32), purpose="p") != wrapper().wrap(bytes(32), purpose="p")


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_keys_of_other_lengths_are_not_wrapped(size):
    with pytest.raises(ValueError, match="32 bytes"):
        wrapper().wrap(bytes(size), purpose="p")
