"""What llama.cpp is started with; the model itself is asked in ``tests/integration/test_model_job.py``."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from heldout_server.config.runtimes import LlamaCpp
from heldout_server.domain import Checkpoint, CheckpointState
from heldout_server.environment import RandomIds
from heldout_server.errors import EndpointError, RuntimeDied
from heldout_server.runtimes import LlamaCppRuntime, llamacpp
from heldout_server.runtimes.llamacpp_runtime import find_model, llamacpp_version

OPTIONS = LlamaCpp(context=256, parallel=1, threads=1, start_s=60)

needs_package = pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="needs the extra llamacpp")


def staged(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"GGUF and nothing more")
    return Checkpoint(
        name="nova-1",
        line="nova",
        sequence=1,
        runtime="llamacpp",
        digest="00",
        state=CheckpointState.STAGED,
        reason="",
        path=str(folder),
        noticed_s=0,
    )


def test_the_one_model_file_is_found_beside_others(tmp_path):
    assert find_model(staged(tmp_path, "checkpoint.toml", "nova.gguf")) == tmp_path / "nova.gguf"


def test_a_split_model_is_named_by_its_first_part(tmp_path):
    parts = [f"nova-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    assert find_model(staged(tmp_path, *parts)) == tmp_path / parts[0]


@pytest.mark.parametrize("names", [(), ("a.gguf", "b.gguf"), ("a-00001-of-00002.gguf", "b.gguf"), ("a.safetensors",)])
def test_no_model_or_more_than_one_is_refused(tmp_path, names):
    with pytest.raises(EndpointError) as caught:
        find_model(staged(tmp_path, *names))
    assert caught.value.reason == "NO_MODEL"


@needs_package
def test_nothing_of_one_request_stays_for_the_next_and_no_page_shows_what_is_asked(tmp_path):
    options = llamacpp.parse(["--socket", str(tmp_path / "m.sock"), "--model", "m.gguf", "--parallel", "3"])
    params = llamacpp.parameters(options)
    assert (params.n_ctx, params.n_parallel, params.hostnames) == (3 * 4096, 3, [str(tmp_path / "m.sock")])
    assert not any((params.cache_prompt, params.cache_idle_slots, params.cache_ram_mib, params.n_ctx_checkpoints))
    assert not any((params.ui, params.endpoint_slots, params.endpoint_props, params.endpoint_metrics))
    assert params.offline


@needs_package
def test_threads_are_left_to_llamacpp_or_set(tmp_path):
    words = ["--socket", str(tmp_path / "m.sock"), "--model", "m.gguf"]
    assert llamacpp.parameters(llamacpp.parse(words)).cpuparams.n_threads == -1
    assert llamacpp.parameters(llamacpp.parse([*words, "--threads", "2"])).cpuparams.n_threads == 2


@needs_package
def test_an_adapter_is_applied_whole(tmp_path):
    words = ["--socket", str(tmp_path / "m.sock"), "--model", "m.gguf"]
    assert llamacpp.parameters(llamacpp.parse(words)).lora_adapters == []
    (adapter,) = llamacpp.parameters(llamacpp.parse([*words, "--adapter", "lora.gguf"])).lora_adapters
    assert (adapter.path, adapter.scale) == ("lora.gguf", 1.0)


@needs_package
async def test_a_file_that_is_no_model_does_not_come_up(tmp_path, run_folder):
    runtime = LlamaCppRuntime(run_folder, isolation="none", ids=RandomIds(), options=OPTIONS)
    with pytest.raises(RuntimeDied):
        async with runtime.serve(staged(tmp_path, "nova.gguf")):
            pass
    assert list(run_folder.iterdir()) == []


def test_without_the_package_the_command_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    code = llamacpp.main(["--socket", str(tmp_path / "m.sock"), "--model", "m.gguf"])
    assert code == llamacpp.NOT_INSTALLED


def test_the_version_is_that_of_the_package_or_empty(monkeypatch):
    assert (llamacpp_version() != "") == (importlib.util.find_spec("xllamacpp") is not None)
    monkeypatch.setattr("heldout_server.runtimes.llamacpp_runtime.PACKAGE", "no-such-package-at-all")
    assert llamacpp_version() == ""
