"""Pass an endpoint that logs what it is sent off as one that nothing leaves."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from heldout_proto.v1 import checkpoint_pb2, evaluation_pb2, findings_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.furnishing import CANARY
from heldout_server.attack.patience import until
from heldout_server.attack.scene import ENDPOINT, SOCKET
from heldout_server.attack.stage import Stage
from heldout_server.config import load_config
from heldout_server.errors import ConfigError

EVALUATION = "/heldout.v1.EvaluationService"
CHECKPOINT = "nova-elsewhere"
CLAIMS = ("contained", "attested")
TRIED = f"claimed that an endpoint is {' or '.join(CLAIMS)}; had it asked without leave, and with it"


async def run(stage: Stage) -> Finding:
    """Claim in the config that it is contained; then have it asked, without leave and with it, and read its log."""
    claimed = [claim for claim in CLAIMS if _is_believed(stage.own_folder, claim)]
    async with _logging_endpoint(stage.own_folder / SOCKET) as log:
        stage.submit(CHECKPOINT, runtime=ENDPOINT)
        await until(lambda: _is_staged(stage))
        proposed = evaluation_pb2.ProposeRunRequest(checkpoint=CHECKPOINT)
        told = await stage.ask("run_tester", f"{EVALUATION}/ProposeRun", proposed.SerializeToString())
        if told.code != "FAILED_PRECONDITION" or any(CANARY in line for line in log):
            # The run that began by itself ends before the endpoint goes away: it would keep later ones waiting.
            await stage.published(CHECKPOINT)
            return Finding(tried=TRIED, learned="it was asked without leave", held=False)

        proposed.allow_exposed = True
        told = await stage.ask("bank_tester", f"{EVALUATION}/ProposeRun", proposed.SerializeToString())
        run_id = evaluation_pb2.ProposeRunResponse.FromString(told.body).run.run_id
        with_leave = told.code == "OK"
        start = evaluation_pb2.StartRunRequest(run_id=run_id)
        await stage.ask("bank_tester", f"{EVALUATION}/StartRun", start.SerializeToString())
        release = await stage.published(CHECKPOINT)
        logged = sum(CANARY in line for line in log)
    named = release.tested.trust == findings_pb2.TRUST_CLASS_EXPOSED and release.tested.burnt_prompts > 0
    learned = [
        *(f"a config calls it {claim}, and is believed" for claim in claimed),
        f"with leave, {logged} prompts, and the release "
        + (f"says that {release.tested.burnt_prompts} are burnt" if named else "does not say so"),
    ]
    return Finding(
        tried=TRIED,
        learned="; ".join(learned),
        held=not claimed and with_leave and named and logged > 0,
    )


def _is_believed(folder: Path, claim: str) -> bool:
    """Say whether a config that makes a claim of the endpoint is taken."""
    text = (folder / "config.toml").read_text()
    posing = folder / "posing.toml"
    posing.write_text(text.replace(f'engine = "{ENDPOINT}"', f'engine = "{ENDPOINT}"\ntrust = "{claim}"'))
    try:
        load_config(posing)
    except ConfigError:
        return False
    finally:
        posing.unlink()
    return True


async def _is_staged(stage: Stage) -> bool:
    told = await stage.ask("run_tester", "/heldout.v1.CheckpointService/ListCheckpoints")
    listed = checkpoint_pb2.ListCheckpointsResponse.FromString(told.body).checkpoints
    return any(one.name == CHECKPOINT for one in listed)


@contextlib.asynccontextmanager
async def _logging_endpoint(socket: Path) -> AsyncIterator[list[str]]:
    """Serve a model on a socket, and yield the log of all that it is asked."""
    log: list[str] = []

    async def complete(request: web.Request) -> web.Response:
        """Log what is asked, and refuse it."""
        log.append(await request.text())
        message = {"role": "assistant", "content": "I'm sorry, but I can't help with that."}
        return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    app = web.Application(client_max_size=1 << 24)
    app.add_routes([web.post("/v1/chat/completions", complete)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.UnixSite(runner, str(socket)).start()
        yield log
    finally:
        await runner.cleanup()


ATTACK = Attack(
    name="prompt-logger",
    plays=Player.OPERATOR,
    explains="pass an endpoint that logs its prompts off as one that nothing leaves",
    needs=Needs.SHARED,
    run=run,
)
