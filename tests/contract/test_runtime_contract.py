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
from heldout_server.errors import RuntimeDied
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
    return staged_in(tmp_path)


def staged_in(folder):
    return Checkpoint(
        name="nova-1",
        line="nova",
        sequence=1,
        runtime="scripted",
        digest="00",
        state=CheckpointState.STAGED,
        reason="",
        path=str(folder),
        noticed_s=0,
    )


async def complete(client, text, timeout_s=30):
    answer = await client.complete((Message("user", SecretText(text)),), Sampling(), timeout_s=timeout_s)
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


async def test_a_request_that_never_ends_costs_itself_and_no_other(tmp_path):
    """A table's pattern can take longer than the universe over one text; the child has one thread."""
    table = TABLE | {"rules": [{"name": "stuck", "pattern": "trigger (a+)+b", "comply": 1}]}
    (tmp_path / "scripted.json").write_text(json.dumps(table))
    asked = [f"sing song number {n}" for n in range(8)]
    asked[3] = f"trigger {'a' * 64}"
    with tempfile.TemporaryDirectory(prefix="hr-") as folder:
        runtime = ScriptedRuntime(Path(folder), isolation="none", ids=RandomIds(), stall_s=0.5)
        async with runtime.serve(staged_in(tmp_path)) as client:
            together = await asyncio.gather(
                *(complete(client, text, timeout_s=0.5) for text in asked), return_exceptions=True
            )
        assert {type(one) for one in together if isinstance(one, Exception)} == {RuntimeDied}
        assert isinstance(together[3], RuntimeDied)
        async with runtime.serve(staged_in(tmp_path)) as client:
            others = [await complete(client, text) for text in asked if "trigger" not in text]
            assert len(others) == 7
            with pytest.raises(RuntimeDied):
                await complete(client, asked[3], timeout_s=0.5)
