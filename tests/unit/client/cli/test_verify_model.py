"""``heldout verify-model``: which releases are about the files in a folder."""

from __future__ import annotations

import dataclasses

import pytest
from client_fakes import TECHNIQUES, make_release, to_message

from heldout.verification.weights import digest_weights


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "nova-v2"
    made.mkdir()
    (made / "model.gguf").write_bytes(b"GGUF weights")
    return made


def publish(heldout, digest):
    release = make_release("v2", dict.fromkeys(TECHNIQUES, 0.3), number=1)
    tested = dataclasses.replace(release.tested, checkpoint_digest=digest)
    heldout.appliance.publish(to_message(dataclasses.replace(release, tested=tested)))


def test_the_releases_about_a_folder_are_named(heldout, folder):
    publish(heldout, digest_weights(folder))
    page = heldout("verify-model", str(folder))
    assert "release 1" in page
    assert "1 of 1 releases are about exactly these files" in page
    assert [one["checkpoint"] for one in heldout.json("verify-model", str(folder))["releases"]] == ["v2"]


def test_files_that_no_release_is_about_end_with_exit_code_1(heldout, folder):
    publish(heldout, digest_weights(folder))
    (folder / "model.gguf").write_bytes(b"GGUF weightz")
    assert "none of 1 releases is about exactly these files" in heldout("verify-model", str(folder), code=1)


def test_a_folder_that_is_not_there_is_one_line(heldout, tmp_path):
    assert "no such folder" in heldout("verify-model", str(tmp_path / "nothing"), code=1)
