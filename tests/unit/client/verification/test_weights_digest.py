"""The digest of a folder's weights is the one that an appliance names in its releases."""

from __future__ import annotations

import os
import threading

import pytest

from heldout.errors import HeldoutClientError
from heldout.verification.weights import digest_weights, measure_folder
from heldout_server.checkpoints.intake import digest_folder


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "nova-v1"
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "checkpoint.toml").write_text('name = "nova-v1"\n')
    (folder / "model.safetensors").write_bytes(os.urandom(100_000))
    (folder / "tokenizer" / "vocab.json").write_text("{}")
    return folder


def test_it_is_the_digest_that_the_appliance_takes(checkpoint):
    assert digest_weights(checkpoint) == digest_folder(checkpoint, stop=threading.Event())


def test_the_marker_that_says_ready_does_not_count(checkpoint):
    before = digest_weights(checkpoint)
    (checkpoint / "READY").write_text("")
    assert digest_weights(checkpoint) == before


def test_one_changed_bit_is_another_model(checkpoint):
    before = digest_weights(checkpoint)
    weights = bytearray((checkpoint / "model.safetensors").read_bytes())
    weights[50_000] ^= 1
    (checkpoint / "model.safetensors").write_bytes(weights)
    assert digest_weights(checkpoint) != before


def test_a_renamed_file_is_another_model(checkpoint):
    before = digest_weights(checkpoint)
    (checkpoint / "tokenizer" / "vocab.json").rename(checkpoint / "vocab.json")
    assert digest_weights(checkpoint) != before


def test_progress_ends_at_what_was_measured(checkpoint):
    told: list[int] = []
    digest_weights(checkpoint, report=told.append)
    assert told == sorted(told)
    assert told[-1] == measure_folder(checkpoint)


def test_a_link_is_not_followed(checkpoint):
    (checkpoint / "more.bin").symlink_to("/etc/hostname")
    with pytest.raises(HeldoutClientError, match=r"more\.bin is a link"):
        digest_weights(checkpoint)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(HeldoutClientError, match="no such folder"):
        measure_folder(tmp_path / "nowhere")
