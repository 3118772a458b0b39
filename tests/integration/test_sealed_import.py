"""What a bank tester has, on a running appliance: a known data set, near duplicates, and a sealed pack."""

import re

import pytest

from heldout.packs import read_frames

WORD = "lighthouse"
TEXT = (
    f"How do I paint the {WORD} on the hill above our village in oil on canvas before the next storm comes and which"
    " of my brushes would you take along for the clouds and gulls and the long green waves under the rocks number {}?"
)
HARMBENCH = "Behavior,FunctionalCategory,SemanticCategory,Tags,ContextString,BehaviorID\n"


@pytest.fixture
async def appliance(served):
    return await served.start()


async def ask(served, *arguments, code=0):
    told, out, err = await served.ask("bank_tester", *arguments)
    assert told == code, (out, err)
    assert WORD not in out + err
    return out + err


async def test_a_known_data_set_and_what_is_near_in_it(appliance, tmp_path):
    file = tmp_path / "behaviors.csv"
    rows = "".join(f"{TEXT.format(n)},standard,Arts / Crafts,,,b{n}\n" for n in ("first", "second"))
    file.write_text(HARMBENCH + rows)
    said = await ask(appliance, "bank", "import", file)
    assert "behaviors.csv · HarmBench columns recognised" in said
    assert "2 imported" in said
    assert "1 near duplicate of prompts in the bank: heldout bank duplicates" in said
    assert "line 3: about" in said
    listed = await ask(appliance, "bank", "duplicates")
    assert len(re.findall(r"prompt-[0-9a-f]{16}", listed)) == 2
    assert "arts-crafts" in await ask(appliance, "bank", "stats")


async def test_a_pack_is_sealed_without_a_network_and_opened_in_the_vault(appliance, tmp_path):
    said = await ask(appliance, "bank", "pack-key")
    key = said.split()[0]
    assert "the key that your profile pins" in said
    file = tmp_path / "prompts.txt"
    file.write_text("".join(f"{TEXT.format(n)}\n" for n in range(1200)))
    options = ("--intent", "benign", "--category", "crafts")
    said = await ask(appliance, "bank", "seal", "--to", key, *options, file)
    assert "prompts.sealed: 1,200 prompts sealed" in said
    pack = tmp_path / "prompts.sealed"
    assert WORD.encode() not in pack.read_bytes()
    assert "1,200 imported" in await ask(appliance, "bank", "import", pack)
    assert "1,200 live" in await ask(appliance, "bank", "stats")


async def test_a_pack_that_was_cut_off_or_changed_imports_nothing(appliance, tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("".join(f"{TEXT.format(n)}\n" for n in range(1200)))
    await ask(appliance, "bank", "seal", "--intent", "benign", "--category", "crafts", file)
    pack = tmp_path / "prompts.sealed"
    whole, frames = pack.read_bytes(), list(read_frames(pack))
    pack.write_bytes(whole[: -len(frames[-1]) - 4])
    assert "pack_cut_off" in await ask(appliance, "bank", "import", pack, code=1)
    pack.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "pack_broken" in await ask(appliance, "bank", "import", pack, code=1)
    pack.write_bytes(whole[:-1])
    assert "truncated or damaged pack" in await ask(appliance, "bank", "import", pack, code=2)
    assert "0 live" in await ask(appliance, "bank", "stats")
