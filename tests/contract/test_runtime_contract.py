"""What every runtime owes its callers, over the real process: today the scripted one, without and with a namespace."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from heldout_server.domain import Checkpoint, CheckpointState, Ending, Message, Sampling, SecretText
from heldout_server.environment import RandomIds
from heldout_server.ports.runtimes import Runtime
from heldout_server.runtimes import ScriptedRuntime

TABLE = {
    "seed": 3,
    "rules": [
        {"name": "short", "pattern": "cut", "non_answer": 1},
        {"name": "filtered", "pattern": "blocked", "deflect": 1},
    ],
    "otherwise": {"comply": 0.5},
    "answers": {
        "comply": ["Sure: first hum, then sing."],
        "refuse": ["I'm sorry, I can't sing."],
        "non_answer": [{"text": "First", "finish_reason": "length"}],
        "deflect": [{"text": "", "finish_reason": "content_filter"}],
    },
}


def namespace():
    flags = "-n" if os.geteuid() == 0 else "-Urn"
    if subprocess.run(["unshare", flags, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no network namespace can be made here")
    return "namespace"


@pytest.fixture(params=["none", "namespace"])
def runtime(request):
    isolation = namespace() if request.param == "namespace" else "none"
    with tempfile.TemporaryDirectory(prefix="hr-") as folder:
        runtime: Runtime = ScriptedRuntime(Path(folder), isolation=isolation, ids=RandomIds())
        yield runtime
        assert list(Path(folder).iterdir()) == []


@pytest.fixture
def checkpoint(tmp_path):
    (tmp_path / "scripted.json").write_text(json.dumps(TABLE))
    return Checkpoint(
        name="nova-1",
        line="nova",
        sequence=1,
        runtime="scripted",
        digest="00",
        state=CheckpointState.STAGED,
        reason="",
        path=str(tmp_path),
        noticed_s=0,
    )


async def complete(client, text):
    answer = await client.complete((Message("user", SecretText(text)),), Sampling(), timeout_s=30)
    return answer.text.reveal(), answer.ending


async def test_a_runtime_serves_answers_with_their_endings(runtime, checkpoint):
    async with runtime.serve(checkpoint) as client:
        assert await complete(client, "cut it") == ("First", Ending.LENGTH)
        assert await complete(client, "be blocked") == ("", Ending.BLOCKED_OUTPUT)
        text, ending = await complete(client, "sing")
        assert (text.startswith(("Sure", "I'm sorry")), ending) == (True, Ending.STOP)


async def test_many_requests_at_once_get_the_answers_that_they_get_one_by_one_from_another_process(runtime, checkpoint):
    asked = [f"sing song number {n}" for n in range(200)]
    async with runtime.serve(checkpoint) as client:
        together = await asyncio.gather(*(complete(client, text) for text in asked))
    async with runtime.serve(checkpoint) as client:
        alone = [await complete(client, text) for text in reversed(asked)]
    assert together == alone[::-1]
    assert len(set(together)) == 2


async def test_two_checkpoints_are_served_side_by_side(runtime, checkpoint):
    async with runtime.serve(checkpoint) as one, runtime.serve(checkpoint) as other:
        assert await complete(one, "sing") == await complete(other, "sing")
