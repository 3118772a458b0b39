"""What serves a model and how it is asked, as the config says it."""

from __future__ import annotations

import pytest
from test_config import MINIMAL, folder, load, refused

from heldout_server.config.runtimes import Endpoint
from heldout_server.domain import TrustClass

__all__ = ["folder"]  # the fixture

GATEWAY = """
[[runtimes.endpoints]]
engine = "gateway"
url = "https://gateway.example/models/v1/"
model = "org/Nova-7B"
"""


def test_an_endpoint_has_cautious_defaults_and_its_url_needs_no_version(folder):
    (endpoint,) = load(folder, MINIMAL + GATEWAY).runtimes.endpoints
    assert endpoint == Endpoint(
        engine="gateway",
        url="https://gateway.example/models",
        socket=None,
        model="org/Nova-7B",
        trust=TrustClass.EXPOSED,
        dialect="openai",
        version="",
        filters=(),
        headers={},
        api_key=None,
    )


def test_all_of_an_endpoint_is_taken(folder):
    (folder / "vllm.key").write_text("s3cret\n")
    (folder / "vllm.key").chmod(0o600)
    text = """
[runtimes]
patience_s = 60
[runtimes.llamacpp]
context = 8192
parallel = 2
threads = 4
start_s = 30
[[runtimes.endpoints]]
engine = "other"
socket = "run/other.sock"
model = "m"
[[runtimes.endpoints]]
engine = "vllm"
url = "http://10.0.0.7:8000"
model = "m"
trust = "exposed"
dialect = "vllm"
version = "0.11.0"
filters = ["guard-1", "guard-2"]
headers = { "X-Tenant" = "lab" }
api_key = { file = "vllm.key" }
"""
    runtimes = load(folder, MINIMAL + text).runtimes
    assert runtimes.patience_s == 60
    assert (runtimes.llamacpp.context, runtimes.llamacpp.parallel, runtimes.llamacpp.threads) == (8192, 2, 4)
    other, vllm = runtimes.endpoints
    assert (other.socket, other.url) == (folder / "run" / "other.sock", "")
    assert (vllm.trust, vllm.dialect, vllm.version) == (TrustClass.EXPOSED, "vllm", "0.11.0")
    assert (vllm.filters, vllm.headers, vllm.api_key) == (
        ("guard-1", "guard-2"),
        {"X-Tenant": "lab"},
        folder / "vllm.key",
    )


def endpoint(line, without=""):
    lines = [one for one in GATEWAY.splitlines() if not (without and one.startswith(without))]
    return "\n".join([*lines, line, ""])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (endpoint("", without="engine"), "runtimes.endpoints.engine: is missing"),
        (endpoint("", without="model"), "runtimes.endpoints.model: is missing"),
        (endpoint("", without="url"), "a url or a socket"),
        (endpoint('socket = "run/m.sock"'), "and not both"),
        (endpoint('url = "ftp://x"', without="url"), "must be http://host:port"),
        (endpoint('url = "https://user:pass@x"', without="url"), "must be http://host:port"),
        (endpoint('trust = "friend"'), "must be one of exposed"),
        (endpoint('trust = "contained"'), "must be one of exposed"),
        (endpoint('trust = "attested"'), "must be one of exposed"),
        (endpoint('dialect = "klingon"'), "must be one of openai, vllm, llamacpp"),
        (endpoint('headers = { "X Tenant" = "lab" }'), "no HTTP header"),
        (endpoint('headers = { "X-Tenant" = "a\\nb" }'), "no HTTP header"),
        (endpoint('headers = { "X-Tenant" = 7 }'), "must be a table of at most 32 strings"),
        (endpoint('api_key = "s3cret"'), "must be a table"),
        (endpoint('api_key = { env = "KEY" }'), "no such key"),
        (endpoint('api_key = { file = "gone.key" }'), "no such file"),
        (endpoint('color = "red"'), "no such key"),
        (GATEWAY + GATEWAY, "there is another engine called gateway"),
        (endpoint('engine = "llamacpp"', without="engine"), "there is another engine called llamacpp"),
        ("[runtimes]\nendpoints = 7\n", "must be at most 64 tables"),
        ("[runtimes]\nllamacpp = 7\n", "must be a table"),
        ("[runtimes.llamacpp]\ncontext = 1\n", "must be a whole number from 256"),
        ("[runtimes.llamacpp]\nspeed = 1\n", "no such key"),
        ('[sampling]\nmode = "text"\n', "must be one of chat, completion"),
        ('[sampling]\nmode = "completion"\nreasoning = "off"\n', "cannot say how much to reason"),
        ('[sampling]\nreasoning = "often"\n', "must be one of engine, off, low, medium, high"),
        ("[sampling]\ntemperature = 3\n", "must be a number from 0 to 2"),
        ('[system_prompt]\nprofile = "a"\n', "system_prompt.file: is missing"),
        ('[system_prompt]\nfile = "ca.pem"\n', "system_prompt.profile: is missing"),
    ],
)
def test_what_is_wrong_is_named(folder, text, said):
    assert said in refused(folder, MINIMAL + text)


@pytest.mark.parametrize("content", [b"", b"two words", b"\xff\xfe", b"a" * 9000])
def test_a_file_without_a_key_is_refused(folder, content):
    (folder / "vllm.key").write_bytes(content)
    (folder / "vllm.key").chmod(0o600)
    assert "the file holds no key" in refused(folder, MINIMAL + endpoint('api_key = { file = "vllm.key" }'))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_key_that_others_may_read_is_refused(folder, mode):
    (folder / "vllm.key").write_text("s3cret\n")
    (folder / "vllm.key").chmod(mode)
    said = refused(folder, MINIMAL + endpoint('api_key = { file = "vllm.key" }'))
    assert f"mode {mode:04o} gives the key to others" in said
    assert f"chmod 600 {folder / 'vllm.key'}" in said


def test_a_mistake_in_the_second_endpoint_is_named_by_its_own_line(folder):
    text = MINIMAL + GATEWAY + GATEWAY.replace('"gateway"', '"second"') + "version = 7\n"
    number = text.splitlines().index("version = 7") + 1
    assert f"config.toml line {number}: runtimes.endpoints.version" in refused(folder, text)


def test_sampling_and_a_system_prompt_are_taken(folder):
    (folder / "prompt.txt").write_text("Be kind.")
    text = (
        "[sampling]\ntemperature = 0.7\ntop_p = 0.9\ntop_k = 20\nmin_p = 0.1\nrepetition_penalty = 1.1\n"
        'max_tokens = 64\nreasoning = "off"\n[system_prompt]\nprofile = "kind-v1"\nfile = "prompt.txt"\n'
    )
    config = load(folder, MINIMAL + text)
    sampling = config.sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p) == (0.7, 0.9, 20, 0.1)
    assert (sampling.repetition_penalty, sampling.max_tokens, sampling.reasoning) == (1.1, 64, "off")
    assert (config.system_prompt.profile, config.system_prompt.file) == ("kind-v1", folder / "prompt.txt")
