"""Packs as the client seals them and the vault opens them."""

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from heldout import packs as client
from heldout.bank_model import Intent, Prompt, PromptRow
from heldout_proto.v1 import bank_pb2 as pb
from heldout_server.bank import SealedPacks
from heldout_server.errors import InvalidRequest

COUNT = 1200  # three chunks


@pytest.fixture
def vault():
    return SealedPacks(X25519PrivateKey.generate())


def prompt_rows(count=COUNT):
    for line in range(1, count + 1):
        yield PromptRow(line, Prompt(text=f"Fold hat {line}", intent=Intent.BENIGN, category="paper"))


def frames_of(tmp_path, rows, key):
    path = tmp_path / "x.sealed"
    path.write_bytes(b"".join(client.seal_rows(rows, key)))
    assert client.is_pack(path)
    return list(client.read_frames(path))


@pytest.fixture
def frames(tmp_path, vault):
    return frames_of(tmp_path, prompt_rows(), vault.public_key)


def open_all(vault, frames):
    reader = vault.reader()
    messages = [pb.ImportPromptsRequest.FromString(reader.open(frame)) for frame in frames]
    return reader.finished, [(row.line, row.prompt.text) for message in messages for row in message.rows]


def test_a_pack_opens_inside_and_holds_every_row(vault, frames):
    assert len(frames) == 4
    finished, rows = open_all(vault, frames)
    assert finished
    assert rows == [(line, f"Fold hat {line}") for line in range(1, COUNT + 1)]


def test_no_text_stands_in_a_pack(frames):
    assert not any(b"Fold" in frame for frame in frames)


def test_an_empty_pack_is_one_last_chunk(tmp_path, vault):
    assert open_all(vault, frames_of(tmp_path, prompt_rows(0), vault.public_key)) == (True, [])


def test_two_packs_of_the_same_rows_share_nothing(tmp_path, vault, frames):
    again = frames_of(tmp_path, prompt_rows(), vault.public_key)
    assert not set(frames) & set(again)


def test_a_pack_that_is_cut_off_is_known_by_its_end(vault, frames):
    finished, rows = open_all(vault, frames[:-1])
    assert not finished
    assert len(rows) == 1000


@pytest.mark.parametrize("order", [(0, 2), (0, 1, 3), (0, 1, 1), (0, 1, 2, 3, 3), (0, 0), (0, 1, 2, 3, 1)])
def test_frames_out_of_order_do_not_open(vault, frames, order):
    with pytest.raises(InvalidRequest) as caught:
        open_all(vault, [frames[place] for place in order])
    assert caught.value.reason == "PACK_BROKEN"


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_changed_bit_does_not_open(vault, frames, place):
    frames[place] = frames[place][:-1] + bytes([frames[place][-1] ^ 1])
    with pytest.raises(InvalidRequest) as caught:
        open_all(vault, frames)
    assert caught.value.reason == "PACK_BROKEN"


def test_a_chunk_of_another_pack_does_not_open(tmp_path, vault, frames):
    frames[1] = frames_of(tmp_path, prompt_rows(), vault.public_key)[1]
    with pytest.raises(InvalidRequest):
        open_all(vault, frames)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [(b"", "PACK_UNKNOWN"), (b"PK", "PACK_UNKNOWN"), (client.MAGIC, "PACK_OF_ANOTHER_APPLIANCE")],
)
def test_what_is_no_header_is_said(vault, frame, reason):
    with pytest.raises(InvalidRequest) as caught:
        vault.reader().open(frame)
    assert caught.value.reason == reason


def test_a_header_without_its_key_does_not_open(vault, frames):
    for cut in (frames[0][:23], frames[0][:40], frames[0][:-1]):
        with pytest.raises(InvalidRequest) as caught:
            vault.reader().open(cut)
        assert caught.value.reason == "PACK_BROKEN"


def test_a_pack_for_another_appliance_is_refused(frames):
    with pytest.raises(InvalidRequest) as caught:
        open_all(SealedPacks(X25519PrivateKey.generate()), frames)
    assert caught.value.reason == "PACK_OF_ANOTHER_APPLIANCE"
