"""What a whole checkpoint is refused for, or recorded with, by what its files say."""

from __future__ import annotations

import hashlib
import json

import pytest

from heldout_server.checkpoints.formats import configs
from heldout_server.domain import CheckpointFacts, CheckpointState
from weights_files import gguf, info, safetensors, string_key, tensor

TEMPLATE = "{{ bos }}{% for m in messages %}é{% endfor %}"


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def scan_one(place, registry):
    async def scan_one(files):
        place.put(files={"weights.safetensors": safetensors({})} | files)
        (one,) = await registry.scan()
        assert await registry.get("nova-1") == one
        return one

    return scan_one


async def test_safetensors_with_their_configs_say_what_they_are(scan_one):
    one = await scan_one(
        {
            "a.safetensors": safetensors({"a": tensor("F32", (1,), (0, 4))}, b"abcd"),
            "b.safetensors": safetensors({"a": tensor("BF16", (4,), (0, 8))}, b"weights!"),
            "config.json": json.dumps({"model_type": "llama", "text_config": {"model_type": "other"}}).encode(),
            "tokenizer_config.json": json.dumps({"chat_template": TEMPLATE}).encode(),
        }
    )
    assert one.facts == CheckpointFacts(precision="bf16", architecture="llama", chat_template_digest=sha256(TEMPLATE))


async def test_a_gguf_file_says_what_it_is_whatever_it_is_called(scan_one):
    keys = (
        string_key(b"general.architecture", b"gemma3"),
        string_key(b"tokenizer.chat_template", TEMPLATE.encode()),
    )
    one = await scan_one(
        {
            "model": gguf(keys, (info(b"a", (256,), 12),), b"d" * 144),
            "chat_template.jinja": b"another",
        }
    )
    assert one.facts == CheckpointFacts(precision="q4_k", architecture="gemma3", chat_template_digest=sha256(TEMPLATE))


async def test_a_template_in_a_file_of_its_own_stands_before_the_one_in_the_config(scan_one):
    one = await scan_one({"chat_template.jinja": b"mine", "tokenizer_config.json": b'{"chat_template": "theirs"}'})
    assert one.facts.chat_template_digest == sha256("mine")


async def test_what_is_no_identifier_is_not_recorded(scan_one):
    named = b'{"model_type": "a text of any length: with whatever in it"}'
    one = await scan_one({"config.json": named, "deeper/config.json": b'{"model_type": "other"}'})
    assert one.facts == CheckpointFacts()


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"model.gguf": b"GGUF"}, "truncated"),
        ({"model.GGUF": b"weights"}, "header_invalid"),
        ({"model.gguf": b"not gguf, though long enough for one"}, "header_invalid"),
        ({"model.safetensors": b"weights"}, "truncated"),
        ({"model.SAFETENSORS": b"\x02\0\0\0\0\0\0\0[]"}, "header_invalid"),
        ({"config.json": b'{"auto_map": {"AutoModel": "lab/repo--modeling.Model"}}'}, "remote_code"),
        ({"config.json": b'{"text_config": [{"auto_map": {"AutoConfig": "x.Y"}}]}'}, "remote_code"),
        ({"tokenizer_config.json": b'{"auto_map": ["x.Y", null]}'}, "remote_code"),
        ({"sub/preprocessor_config.json": b'{"auto_map": {"AutoProcessor": "x.Y"}}'}, "remote_code"),
        ({"config.json": b'{"trust_remote_code": true}'}, "remote_code"),
        ({"Config.JSON": b'{"auto_map": {"AutoModel": "x.Y"}}'}, "remote_code"),
        ({"config.json": b'{"\\u0061uto_map": {"AutoModel": "x.Y"}}'}, "remote_code"),
        ({"config.json": b'{"auto_map": {"a": "b"}, "auto_map": null}'}, "remote_code"),
        ({"config.json": b'{"model_type": "a", "model_type": "b"}'}, "config_invalid"),
        ({"config.json": b"{"}, "config_invalid"),
        ({"config.json": b"[]"}, "config_invalid"),
        ({"config.json": b"\xff"}, "config_invalid"),
        ({"config.json": b"[" * 100_000}, "config_invalid"),
        ({"config.json": b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}"}, "config_invalid"),
        ({"config.json": b'{"a": [' + b"[]," * 200_000 + b"[]]}"}, "config_invalid"),
        ({"config.json": b'{"' + b'\\"' * 2_000_000 + b"\\"}, "config_invalid"),
        ({"tokenizer_config.json": b'{"chat_template": "\\ud800"}'}, "config_invalid"),
        ({"chat_template.jinja": b"x" * (1024 * 1024 + 1)}, "config_invalid"),
        ({"adapter_config.json": b'{"base_model_name_or_path": "nova"}'}, "adapter"),
    ],
)
async def test_what_is_malformed_or_asks_for_code_is_refused(scan_one, place, files, reason):
    one = await scan_one(files)
    assert (one.state, one.reason, one.facts) == (CheckpointState.REFUSED, reason, CheckpointFacts())
    assert list(place.staging.iterdir()) == []


@pytest.mark.parametrize("said", [b'{"auto_map": null}', b'{"auto_map": {}}', b'{"trust_remote_code": false}'])
async def test_a_config_may_say_that_it_asks_for_no_code(scan_one, said):
    assert (await scan_one({"config.json": said})).reason == ""


async def test_a_config_may_be_nested_and_may_quote_brackets(scan_one):
    said = b'{"a": ' + b"[" * 63 + b"]" * 63 + b', "b": "\\"' + b"[" * 500 + b'"}'
    assert (await scan_one({"config.json": said})).reason == ""


async def test_a_config_has_a_bound(scan_one, monkeypatch):
    monkeypatch.setattr(configs, "MAX_CONFIG_BYTES", 5)
    assert (await scan_one({"config.json": b'{"a": 1}'})).reason == "config_invalid"
