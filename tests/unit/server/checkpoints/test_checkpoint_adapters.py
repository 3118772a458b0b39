"""A checkpoint may adapt the weights of another that is staged already: both are then what is tested."""

from __future__ import annotations

import os

import pytest

from heldout_server.checkpoints.manifest import parse_manifest
from heldout_server.checkpoints.refusal import Unacceptable
from heldout_server.domain import CheckpointFacts, CheckpointState
from heldout_server.errors import IntegrityError
from weights_files import gguf, info, string_key

WEIGHTS = gguf([string_key(b"general.architecture", b"llama"), string_key(b"tokenizer.chat_template", b"{{x}}")])
ADAPTER = gguf([string_key(b"general.type", b"adapter")], [info(shape=(4,))], bytes(16))
PEFT = {"adapter_config.json": b'{"base_model_name_or_path": "somewhere/else"}'}


def manifest(name, base=None):
    named = f'base = "{base}"\n' if base else ""
    return f'name = "{name}"\nline = "nova"\nruntime = "llamacpp"\n{named}'


@pytest.fixture
async def based(place, registry):
    """Give a registry in which ``nova-1`` is staged, and what takes in one more checkpoint."""
    place.put("nova-1", files={"model.gguf": WEIGHTS}, manifest=manifest("nova-1"))
    await registry.scan()

    async def take(name, files, base="nova-1"):
        place.put(name, files=files, manifest=manifest(name, base))
        (one,) = await registry.scan()
        return one

    return take


async def test_an_adapter_names_the_checkpoint_that_it_adapts_and_has_what_that_says_of_itself(based, registry):
    one = await based("nova-2", {"lora.gguf": ADAPTER})
    base = await registry.get("nova-1")
    assert (one.state, one.base) == (CheckpointState.STAGED, base)
    assert one.facts == CheckpointFacts(
        precision="f32", architecture="llama", chat_template_digest=base.facts.chat_template_digest
    )
    assert await registry.get("nova-2") == one
    await registry.verify(one)


@pytest.mark.parametrize("files", [{"lora.gguf": ADAPTER}, PEFT])
async def test_an_adapter_that_does_not_say_of_what_is_refused(based, files):
    assert (await based("nova-2", files, base=None)).reason == "adapter"


async def test_a_whole_model_adapts_nothing(based):
    assert (await based("nova-2", {"model.gguf": WEIGHTS})).reason == "adapter"


@pytest.mark.parametrize("base", ["nova-0", "nova-2"])
async def test_a_base_that_is_not_staged_here_is_refused_and_nothing_is_left(based, place, base):
    assert (await based("nova-2", {"lora.gguf": ADAPTER}, base=base)).reason == "base_unknown"
    assert [folder.name for folder in place.staging.iterdir()] == ["nova-1"]


async def test_an_adapter_of_an_adapter_is_refused(based):
    await based("nova-2", {"lora.gguf": ADAPTER})
    assert (await based("nova-3", {"lora.gguf": ADAPTER}, base="nova-2")).reason == "base_unknown"


async def test_a_base_that_changed_after_staging_is_found_when_its_adapter_is_loaded(based, place, registry):
    one = await based("nova-2", {"lora.gguf": ADAPTER})
    weights = place.staging / "nova-1" / "model.gguf"
    weights.chmod(0o600)
    with weights.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x01")
    with pytest.raises(IntegrityError, match="nova-1"):
        await registry.verify(one)


@pytest.mark.parametrize("base", ["7", '"two words"', '""', "[]"])
def test_a_base_is_a_name(base):
    with pytest.raises(Unacceptable):
        parse_manifest(f'name = "a"\nline = "b"\nruntime = "c"\nbase = {base}\n'.encode())
