"""The texts that an installation writes: the config, and a client profile for each role.

Everything filled in was checked before (identifiers, addresses, verifier keys), so no value needs escaping in TOML.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Final

from heldout_server.config import Config

FILE_KEYS: Final = """\
# For development only: whoever reads the root key reads the bank. "shamir" starts sealed, until people give shares.
# provider = "file"
root = "keys/root.key"
ring = "keys/ring.json"\
"""

SHARED_KEYS: Final = """\
# It starts sealed, and opens nothing until enough people give a share of the root key, which is written nowhere.
provider = "shamir"
# What tells a share of this appliance from any other; it holds none.
shares = "keys/shares.json"
ring = "keys/ring.json"\
"""

CONFIG = """\
# The config of this appliance. Paths are relative to this file; what is commented out shows its default.
# A key that is not known here is refused, so a slip of the pen never turns into a default.

[appliance]
# The logs are called <name>/vault and <name>/window. Changing it breaks what auditors have seen.
name = "{name}"

[listen]
# The service, over mTLS. Port 0 takes any that is free.
address = "{address}"
# Health alone (grpc.health.v1), without TLS: keep it on loopback or inside the cluster.
health_address = "{health}"

[tls]
ca = "pki/ca.pem"
certificate = "pki/server.pem"
key = "pki/server.key"

# Calls of one identity to one method, by its role: so many a second over a long time, and so many at once after a rest.
[limits]
# trainer = {{ per_s = 20.0, burst = 1000 }}
# bank_tester = {{ per_s = 100.0, burst = 2000 }}
# run_tester = {{ per_s = 20.0, burst = 1000 }}
# auditor = {{ per_s = 100.0, burst = 2000 }}
# operator = {{ per_s = 20.0, burst = 1000 }}
# key_holder = {{ per_s = 1.0, burst = 20 }}

[keys]
{keys}

[policy]
# release.toml, release.toml.sig, authorization.cedar, principals.toml
folder = "policy"
# The public key that must have signed release.toml. Without a good signature nothing leaves.
signer = "policy/signer.pem"

[data]
vault = "vault"
window = "window"
staging = "staging"
# Unix sockets of model runtimes. Their paths must stay short: about 100 bytes in all.
run = "run"

[audit]
# A folder on another disk. Every entry of the logs then goes to both, and one of them is enough to go on.
#     second="/mnt/other/heldout"
# Seconds after which a disk that has not stored an entry is given up. With no disk left the appliance stops.
# commit_deadline_s = 5.0
# The logs read themselves again without end: so many entries a second, and so many seconds between two passes.
# sweep_leaves_per_s = 5000.0
# sweep_pause_s = 60.0

[watch]
# Where checkpoints appear: a folder, or a store's URL such as "s3://bucket/prefix" (also gs, az, abfss, https, http).
source = "checkpoints"
# poll_s = 1.0
# Start the standing plan for every checkpoint that appears, where the policy needs no approvals first.
# auto_run = true
# What one checkpoint may take: bytes in all, where holes of sparse files count, and files and folders.
# max_checkpoint_bytes = 1_099_511_627_776
# max_files = 10_000
# What stays free on the disk of staging, in bytes. Not set: 5 GiB, or 5 % of the disk where that is less.
#     min_free_bytes=5_368_709_120
# What all checkpoints in staging may take, in bytes; all of it must be free for them. Not set: three quarters of what
# is free at the start, rounded down.
#     max_staged_bytes=549_755_813_888

# Options of a store, as obstore calls them; a folder takes none. What is secret stands in a file of its own.
#     [watch.options]
#     region="eu-central-1"
#     endpoint="https://s3.example:9000"
#     access_key_id={{ file="keys/s3.id" }}
#     secret_access_key={{ file="keys/s3.key" }}

[plan]
# The standing plan. Techniques alone, then stacks (the first technique innermost), in the order of the tables.
# techniques = ["plain", "base64", "leetspeak", "fiction", "persona", "payload-splitting", "many-shot"]
# stacks = [
#   ["base64", "fiction"],
#   ["base64", "persona"],
#   ["leetspeak", "fiction"],
#   ["leetspeak", "persona"],
#   ["fiction", "persona"],
#   ["payload-splitting", "persona"],
# ]
# attempts = 1

[evaluation]
# Requests to a model at once, 1 to 2000, and seconds that one trial may take.
# in_flight = 64
# deadline_s = 30.0
# Ask a checkpoint a few harmless questions before its run takes a release slot; one that says nothing is not started.
# While a run is between its start and its slot none is asked: what appears meanwhile waits for that slot.
# preflight = true

# What every request asks for, and every release says. Engines take silent defaults: so all of it is sent.
[sampling]
# temperature = 0.0
# top_p = 1.0
# Only so many of the likeliest tokens (0: all), only those so likely beside the likeliest, 1 for no penalty.
# top_k = 0
# min_p = 0.0
# repetition_penalty = 1.0
# max_tokens = 512
# "engine": a model that can reason first does as its engine has it. "off": its chat template is told not to.
# "low", "medium", "high": so much is asked for, of an engine that knows reasoning_effort.
# reasoning = "engine"
# "chat": through the chat template. "completion": an early checkpoint that has none goes on with a plain text of turns
# ("User: …", "Assistant:"), up to the next "User:".
# mode = "chat"

# What is said to the model before every prompt, as a deployment would: an identifier, and a file with the text.
#     [system_prompt]
#     profile="assistant-v1"
#     file="system_prompt.txt"

[runtimes]
# "namespace": a runtime has a network namespace of its own and reaches no file but its model's, and is refused where
# that cannot be had. "none": no namespace; contained by Landlock and seccomp if the kernel has both, else exposed.
# isolation = "namespace"
# Seconds in all that a run waits for an endpoint that is down, before it is interrupted and waits for the next start.
# patience_s = 1800.0

# GGUF checkpoints, whose runtime is "llamacpp". Tokens of prompt and answer together; requests at once (above 1, one
# prompt's answer depends a little on who else is asked); threads (0: one a core; fewer where others compute as well).
[runtimes.llamacpp]
# context = 4096
# parallel = 1
# threads = 0
# start_s = 600.0

# Servers that already serve a model: vLLM, SGLang, a gateway. A checkpoint's runtime is then the engine's name here.
# trust can only be "exposed": it can log what it is sent, so every prompt sent there is burnt, and a run must allow it.
# dialect, for sampling beyond OpenAI's: "openai", "vllm" (SGLang as well) or "llamacpp".
#     [[runtimes.endpoints]]
#     engine="vllm-lab"
#     url="https://vllm.example:8000"    # or socket="run/vllm.sock"
#     model="nova-7b"
#     trust="exposed"
#     dialect="vllm"
#     version="0.11.0"
#     filters=["guard-1"]
#     headers={{ "X-Tenant"="lab" }}
#     api_key={{ file="keys/vllm.key" }}

[telemetry]
# "console" for people, "json" for machines; "debug", "info", "warning" or "error".
# log_format = "console"
# log_level = "info"
# Seconds between metric lines in the log; 0 for none.
# metrics_interval_s = 0
"""

PROFILE = """\
# How the client reaches this appliance as {name}. Paths are relative to this file.
address = "{address}"
server_name = "localhost"
ca = "../pki/ca.pem"
certificate = "../pki/{name}.pem"
key = "../pki/{name}.key"

# The logs' verifier keys (c2sp.org/signed-note). They come with the installation, never from the server.
[logs]
vault = "{vault}"
window = "{window}"
"""

BANK: Final = """
# The key to which heldout bank seal encrypts packs of prompts. It comes with the installation, as the others do.
[bank]
pack_key = "{pack_key}"
"""
PACK_KEY_PREFIX: Final = "heldout-pack-key-"


def config_text(*, name: str, address: str, health: str, shared: bool) -> str:
    """Return ``config.toml`` with a comment at every key.

    Args:
        name: the appliance, an identifier.
        address: ``host:port`` of the service.
        health: ``host:port`` of the health server.
        shared: whether people have shares of the root key.
    """
    return CONFIG.format(name=name, address=address, health=health, keys=SHARED_KEYS if shared else FILE_KEYS)


def profile_text(config: Config, *, name: str, vault: str, window: str) -> str:
    """Return a client profile.

    Args:
        config: of the appliance.
        name: of the certificate: that of its role, or of the person where several have the role.
        vault: verifier key of the vault's log.
        window: verifier key of the window's log.
    """
    return PROFILE.format(name=name, address=reachable(config.listen.address), vault=vault, window=window)


def bank_text(public_key: bytes) -> str:
    """Return what the profile of a bank tester says besides: the pinned pack key, with a check against slips.

    Args:
        public_key: X25519, 32 bytes.
    """
    check = hashlib.sha256(b"heldout/v1/pack" + public_key).digest()[:4]
    written = PACK_KEY_PREFIX + base64.urlsafe_b64encode(public_key + check).decode().rstrip("=")
    return BANK.format(pack_key=written)


def reachable(address: str) -> str:
    """Return an address that a client on the same machine can call, for one that a server listens on."""
    host, _, port = address.rpartition(":")
    return f"{ {'0.0.0.0': '127.0.0.1', '[::]': '[::1]'}.get(host, host) }:{port}"  # noqa: S104 - recognised, not bound


def principals_text(default: str, holders: Sequence[str]) -> str:
    """Return ``principals.toml`` with these key holders in the place of the one that it names.

    Args:
        default: the shipped document, which ends with that one.
        holders: the ends of their names.
    """
    head, mark, one = default.rpartition("# Holds an unseal share.")
    entry = one[one.index("[[principal]]") :].strip()
    entries = [entry.replace("/key-holder", f"/{holder}") for holder in holders]
    return head + mark + " May do nothing else.\n" + "\n\n".join(entries) + "\n"
