"""Read ``config.toml``: what the operator decides.

Paths are relative to the file. Unknown keys are refused, so that a slip of the pen never turns into a default. Every
error names the line and the key, says what is wrong, and on a second line what to do::

    config.toml line 14: data.vault: no such folder: /srv/heldout/vault
      create it, or set data.vault
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_type_hints

from heldout_server.config.audit import Audit, read_audit
from heldout_server.config.limits import Limits, read_limits
from heldout_server.config.place import Place
from heldout_server.config.reader import Reader, open_document
from heldout_server.config.runtimes import (
    Runtimes,
    SamplingDefaults,
    SystemPromptFile,
    read_runtimes,
    read_sampling,
    read_system_prompt,
)
from heldout_server.config.sections import (
    Appliance,
    Listen,
    Policy,
    Telemetry,
    Tls,
    read_appliance,
    read_listen,
    read_policy,
    read_telemetry,
    read_tls,
)
from heldout_server.config.watch import STORE_OPTIONS, Watch, read_watch
from heldout_server.domain import PLAIN

DEFAULT_TECHNIQUES: Final = (PLAIN, "base64", "leetspeak", "fiction", "persona", "payload-splitting", "many-shot")
"""Techniques of the standing plan, in table order."""

DEFAULT_STACKS: Final = (
    ("base64", "fiction"),
    ("base64", "persona"),
    ("leetspeak", "fiction"),
    ("leetspeak", "persona"),
    ("fiction", "persona"),
    ("payload-splitting", "persona"),
)
"""Stacks of the standing plan, in table order, the first technique innermost."""

MAX_TECHNIQUES: Final = 64
MAX_STACKS: Final = 256
STACK_DEPTHS: Final = range(2, 5)

KeyProvider: TypeAlias = Literal["file", "shamir"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """``[keys]``: the ring, and what opens it.

    Attributes:
        provider: ``file``: a root key in a file, for development only; ``shamir``: shares that people give.
        ring: every key, wrapped under the root.
        root: the root key's file; None where people have shares of it.
        shares: what tells those shares from others; None where the root key lies in a file.
    """

    provider: KeyProvider
    ring: Path
    root: Path | None
    shares: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """``[data]``: folders of the vault's databases, the window's, staged checkpoints, and sockets."""

    vault: Path
    window: Path
    staging: Path
    run: Path

    def folders(self) -> Mapping[str, Path]:
        """Return the folder of databases by half."""
        return {"vault": self.vault, "window": self.window}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``[plan]``: the standing plan: techniques and stacks in table order, trials of each prompt in each cell."""

    techniques: tuple[str, ...]
    stacks: tuple[tuple[str, ...], ...]
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """``[evaluation]``: how trials are tried.

    Attributes:
        in_flight: requests at once, 1 to 2000.
        deadline_s: seconds that one trial may take, 0.1 to 3600.
        preflight: ask a checkpoint a few harmless questions before its run starts.
    """

    in_flight: int
    deadline_s: float
    preflight: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Hold the whole of ``config.toml``; every path absolute and, when read, there."""

    appliance: Appliance
    listen: Listen
    tls: Tls
    limits: Limits
    keys: Keys
    policy: Policy
    data: Data
    audit: Audit
    watch: Watch
    plan: Plan
    evaluation: Evaluation
    sampling: SamplingDefaults
    system_prompt: SystemPromptFile
    runtimes: Runtimes
    telemetry: Telemetry


KNOWN: Final = {section: frozenset(one.name for one in fields(of)) for section, of in get_type_hints(Config).items()}
"""The keys of each section."""


def load_config(path: Path) -> Config:
    """Read and check ``config.toml``.

    Raises:
        ConfigError: it cannot be read, or something in it is unknown, missing, malformed, out of range, or names a file
            or folder that is not there.
    """
    reader = open_document(path)
    _refuse_window_half(reader)
    reader.refuse_unknown({**KNOWN, "watch": KNOWN["watch"] | {STORE_OPTIONS}})
    return Config(
        appliance=read_appliance(reader),
        listen=read_listen(reader),
        tls=read_tls(reader),
        limits=read_limits(reader),
        keys=_keys(reader),
        policy=read_policy(reader),
        data=Data(
            vault=reader.directory("data", "vault"),
            window=reader.directory("data", "window"),
            staging=reader.directory("data", "staging"),
            run=reader.directory("data", "run"),
        ),
        audit=read_audit(reader),
        watch=read_watch(reader),
        plan=_plan(reader),
        evaluation=Evaluation(
            in_flight=reader.integer("evaluation", "in_flight", low=1, high=2000, default=64),
            deadline_s=reader.number("evaluation", "deadline_s", low=0.1, high=3600, default=30.0),
            preflight=reader.flag("evaluation", "preflight", default=True),
        ),
        sampling=read_sampling(reader),
        system_prompt=read_system_prompt(reader),
        runtimes=read_runtimes(reader),
        telemetry=read_telemetry(reader),
    )


def _refuse_window_half(reader: Reader) -> None:
    """Say that this is the other config, rather than that the first key is missing of which it has none.

    Raises:
        ConfigError: it has the window's folder, and nothing of the vault's.
    """
    if reader.has("data", "window") and not any(reader.has("data", key) for key in ("vault", "staging", "run")):
        problem = "is the config of a window half by itself, not of an appliance"
        remedy = "name its config.toml; window.toml is for heldout-server serve --half window"
        raise Place(reader.name, None).error(problem, remedy)


def _keys(reader: Reader) -> Keys:
    provider: KeyProvider = reader.choice("keys", "provider", KeyProvider, default="file")
    needed, other = ("root", "shares") if provider == "file" else ("shares", "root")
    if reader.has("keys", other):
        problem = f'is not used with provider = "{provider}"'
        raise reader.place("keys", other).error(problem, f"leave it out, and set keys.{needed}")
    path = reader.file("keys", needed)
    return Keys(
        provider=provider,
        ring=reader.file("keys", "ring"),
        root=path if provider == "file" else None,
        shares=path if provider == "shamir" else None,
    )


def _plan(reader: Reader) -> Plan:
    techniques = reader.identifiers("plan", "techniques", default=DEFAULT_TECHNIQUES, most=MAX_TECHNIQUES)
    if PLAIN not in techniques:
        problem = f"{PLAIN} is missing, in which benign prompts are sent"
        raise reader.place("plan", "techniques").error(problem, f'add "{PLAIN}"')
    stacks = reader.identifier_lists("plan", "stacks", default=DEFAULT_STACKS, most=MAX_STACKS)
    for stack in stacks:
        if len(stack) not in STACK_DEPTHS or PLAIN in stack:
            problem = f"a stack has 2 to 4 techniques, and {PLAIN} is none"
            raise reader.place("plan", "stacks").error(problem, "mend or leave out " + "+".join(stack))
    return Plan(
        techniques=techniques,
        stacks=stacks,
        attempts=reader.integer("plan", "attempts", low=1, high=100, default=1),
    )
