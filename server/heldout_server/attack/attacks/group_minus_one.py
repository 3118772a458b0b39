"""Have one prompt retired, and subtract the new sums from the old."""

from __future__ import annotations

from dataclasses import dataclass

from heldout_proto.v1 import bank_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.furnishing import mild_prompts
from heldout_server.attack.runs import BY_HAND, run_through
from heldout_server.attack.setting import Setting
from heldout_server.attack.stage import Stage
from heldout_server.attack.subtraction import judge
from heldout_server.errors import ConfigError

UNITS = 24
BANK = "/heldout.v1.BankService/"


async def run(stage: Stage) -> Finding:
    """Release an epoch, retire one of its prompts, and release the next."""
    prompts = mild_prompts(harmful=UNITS, benign=8)
    await stage.import_prompts(prompts)
    retired = await _find_harmful(stage)
    first = bank_pb2.OpenEpochResponse.FromString((await stage.open_epoch()).body).epoch.epoch_id
    await run_through(stage, "nova-v1")

    request = bank_pb2.RetirePromptsRequest(handles=[retired.handle]).SerializeToString()
    await stage.ask("bank_tester", f"{BANK}RetirePrompts", request)
    second = bank_pb2.OpenEpochResponse.FromString((await stage.open_epoch()).body).epoch.epoch_id
    last = await run_through(stage, "nova-v2")

    units = {f"unit-{n}": prompt["category"] for n, prompt in enumerate(prompts[:UNITS])}
    gone = next(unit for unit, category in units.items() if category == retired.category)
    left = {unit: category for unit, category in units.items() if unit != gone}
    return judge(
        f"released {UNITS} prompts and then the {len(left)} that are left when one is retired",
        releases=[one.release for one in await stage.releases()],
        epochs={first: units, second: left},
        last=last,
    )


@dataclass(frozen=True, slots=True)
class _Prompt:
    handle: str
    category: str


async def _find_harmful(stage: Stage) -> _Prompt:
    """Return a harmful prompt of the bank."""
    listed = bank_pb2.ListPromptsResponse.FromString((await stage.ask("bank_tester", f"{BANK}ListPrompts")).body)
    for handle in listed.handles:
        request = bank_pb2.GetPromptRequest(handle=handle).SerializeToString()
        told = await stage.ask("bank_tester", f"{BANK}GetPrompt", request)
        prompt = bank_pb2.GetPromptResponse.FromString(told.body).prompt
        if prompt.intent == bank_pb2.INTENT_HARMFUL:
            return _Prompt(handle, prompt.category)
    raise ConfigError("the bank has no harmful prompt to retire")


ATTACK = Attack(
    name="group-minus-one",
    plays=Player.TRAINING_TEAM,
    explains="subtract the sums over a group with one prompt fewer from those over all of it",
    needs=Needs.OWN,
    run=run,
    setting=Setting(config=BY_HAND),
)
