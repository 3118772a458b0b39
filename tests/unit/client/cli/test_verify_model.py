"""``heldout verify-model``: which releases are about the files in a folder."""

from __future__ import annotations

import dataclasses
import threading

import pytest
from client_fakes import TECHNIQUES, make_release, to_message

from heldout.verification.weights import digest_weights
from heldout_server.checkpoints.intake import digest_folder


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "nova-v2"
    made.mkdir()
    (made / "model.gguf").write_bytes(b"GGUF weights")
    return made


def publish(heldout, digest, *, full=False, **tested):
    release = dataclasses.replace(make_release("v2", dict.fromkeys(TECHNIQUES, 0.3), number=1), full=full)
    tested = dataclasses.replace(release.tested, checkpoint_digest=digest, **tested)
    heldout.appliance.publish(to_message(dataclasses.replace(release, tested=tested)))


def test_the_releases_about_a_folder_are_named(heldout, folder):
    publish(heldout, digest_weights(folder))
    page = heldout("verify-model", str(folder))
    assert "release 1" in page
    assert "1 of 1 releases is about exactly these files" in page
    assert [one["checkpoint"] for one in heldout.json("verify-model", str(folder))["releases"]] == ["v2"]


@pytest.mark.parametrize("full", [False, True])
def test_a_full_release_is_called_so_though_its_plan_had_no_stacks(heldout, folder, full):
    publish(heldout, digest_weights(folder), full=full)
    (row,) = [line for line in heldout("verify-model", str(folder)).splitlines() if line.startswith(" release 1")]
    assert row.split()[-1] == ("full" if full else "light")


def test_files_that_no_release_is_about_end_with_exit_code_1(heldout, folder):
    publish(heldout, digest_weights(folder))
    (folder / "model.gguf").write_bytes(b"GGUF weightz")
    assert "none of 1 releases is about exactly these files" in heldout("verify-model", str(folder), code=1)


def test_a_folder_that_is_not_there_is_one_line(heldout, tmp_path):
    assert "no such folder" in heldout("verify-model", str(tmp_path / "nothing"), code=1)


SHAPES = {
    "safetensors": ("config.json", "model.safetensors"),
    "GGUF": ("model.gguf",),
    "shards": (
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "tokenizer/vocab.json",
    ),
    "an adapter": ("adapter_config.json", "adapter_model.safetensors"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_holds_the_weights_every_file_of_it_counts(heldout, tmp_path, shape):
    folder = tmp_path / "nova"
    for number, name in enumerate(SHAPES[shape]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes([number]) * 1000)
    publish(heldout, digest_folder(folder, stop=threading.Event()))  # what the appliance itself takes
    assert "1 of 1 releases is about" in heldout("verify-model", str(folder))
    for name in SHAPES[shape]:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-1] + b"x")
        assert "none of 1 releases" in heldout("verify-model", str(folder), code=1)
        (folder / name).write_bytes(whole)


def test_of_a_base_the_releases_about_its_adapters_are_named_and_say_nothing_of_it_alone(heldout, folder):
    publish(heldout, "a" * 64, base="nova-base", base_digest=digest_weights(folder))
    out = heldout("verify-model", str(folder), code=1)
    assert "none of 1 releases is about exactly these files" in out
    assert "release 1 · about v2, an adapter of these files" in out
