"""Ask for everything as everybody who may not see a prompt, and look for a word of one."""

from __future__ import annotations

from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.furnishing import CANARY
from heldout_server.attack.hearing import OTHERS, hear_everything, known_names
from heldout_server.attack.scene import WORDS, table, try_in_turn
from heldout_server.attack.search import find_words
from heldout_server.attack.stage import Stage


async def run(stage: Stage) -> Finding:
    """Read all there is as each role, and search every byte that came back."""
    await try_in_turn(stage, {"words": table(0.5)})
    names = await known_names(stage)
    searched, found = 0, []
    for role in OTHERS:
        heard = await hear_everything(stage, role, names)
        contents = [part for calls in heard.values() for told in calls for part in told.contents()]
        searched += sum(map(len, contents))
        found += [f"{role}: {word}" for word in find_words(WORDS, contents)]
    heard = await hear_everything(stage, "bank_tester", names)
    shown = find_words([CANARY], (part for calls in heard.values() for told in calls for part in told.contents()))
    return Finding(
        tried=f"every method that reads, for all there is, as {len(OTHERS)} roles: {searched:,} bytes",
        learned=f"{'; '.join(found) or 'no word of a prompt, an answer or a system prompt'}"
        + ("" if shown else "; and not even a bank tester was told one, so the search proves nothing"),
        held=not found and bool(shown),
    )


ATTACK = Attack(
    name="words-in-answers",
    plays=Player.TRAINING_TEAM,
    explains="read all there is as every role, and look for words of prompts and answers",
    needs=Needs.SHARED,
    run=run,
)
