"""Read ``[runtimes]``, ``[sampling]`` and ``[system_prompt]`` of ``config.toml``: what serves a model, how it is asked.

::

    [runtimes]
    isolation = "namespace"

    [runtimes.llamacpp]                     # how GGUF checkpoints are served
    context = 4096

    [[runtimes.endpoints]]                  # somebody's server that already serves a model
    engine = "vllm-lab"                     # what checkpoint.toml calls it
    url = "https://vllm.example:8000"       # or socket = "run/vllm.sock"
    model = "nova-7b"
    trust = "exposed"
    api_key = { file = "keys/vllm.key" }
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Literal, TypeAlias

from heldout_server.config.reader import Reader
from heldout_server.domain import IDENTIFIER, Mode, Reasoning, TrustClass

Isolation: TypeAlias = Literal["namespace", "none"]
Dialect: TypeAlias = Literal["openai", "vllm", "llamacpp"]
Trust: TypeAlias = Literal["exposed"]
"""What may be said of a server that somebody else started: no word of a config proves more of it."""

LLAMACPP: Final = "runtimes.llamacpp"
ENDPOINTS: Final = "runtimes.endpoints"
MAX_ENDPOINTS: Final = 64
MAX_HEADERS: Final = 32
MAX_FILTERS: Final = 16
OWN_ENGINES: Final = frozenset({"scripted", "llamacpp"})
"""Engines that the appliance starts itself: no endpoint may take their name."""

URL: Final = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
NAME: Final = re.compile(r"[^\s\x00-\x1f]{1,256}")
HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
"""A field name (RFC 9110 section 5.1)."""

HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]{0,1024}")
KEY: Final = re.compile(r"[\x21-\x7e]{1,4096}")
MAX_KEY_FILE_BYTES: Final = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCpp:
    """``[runtimes.llamacpp]``: how GGUF checkpoints are served.

    Attributes:
        context: tokens of prompt and answer together, for each request.
        parallel: requests answered at the same time. Above 1 the last digits of an answer's floats depend on who else
            is asked, and with them, rarely, the answer: then one prompt's outcome depends on another's.
        threads: threads to compute with; 0 for one a core, which is slow where others compute on them too.
        start_s: seconds that loading may take.
    """

    context: int
    parallel: int
    threads: int
    start_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """``[[runtimes.endpoints]]``: one server that already serves a model.

    Attributes:
        engine: what ``checkpoint.toml`` calls it.
        url: where it is, without ``/v1``; empty if it is on a socket.
        socket: Unix socket, or None.
        model: the name that requests ask for.
        trust: who can see what it is sent: whoever runs it.
        dialect: how sampling beyond the OpenAI parameters is spelt; ``openai`` sends none of it.
        version: of the engine, as the operator knows it; empty if unknown.
        filters: names of filters in front of the model.
        headers: sent with each request.
        api_key: file with the bearer token, or None.
    """

    engine: str
    url: str
    socket: Path | None
    model: str
    trust: TrustClass
    dialect: Dialect
    version: str
    filters: tuple[str, ...]
    headers: Mapping[str, str]
    api_key: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtimes:
    """``[runtimes]``: whether a runtime must be contained, or as far as the machine allows; and the engines.

    Attributes:
        patience_s: seconds in all that a run waits for an endpoint that does not answer, before it is interrupted.
    """

    isolation: Isolation
    patience_s: float
    llamacpp: LlamaCpp
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingDefaults:
    """``[sampling]``: what every request asks for; see :class:`heldout_server.domain.Sampling`."""

    temperature: float
    top_p: float
    top_k: int
    min_p: float
    repetition_penalty: float
    max_tokens: int
    reasoning: Reasoning
    mode: Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPromptFile:
    """``[system_prompt]``: an identifier, and the file whose text goes before every prompt; empty and None for none."""

    profile: str
    file: Path | None


class PermissionsTooWide(ValueError):
    """Say that others than its owner may read or write a key."""


def read_api_key(path: Path) -> str:
    """Return the bearer token of an endpoint.

    Raises:
        OSError: the file cannot be read.
        PermissionsTooWide: others may read or write it.
        ValueError: it holds no key, or more than one.
    """
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode & 0o777
        content = file.read(MAX_KEY_FILE_BYTES)
    if mode & 0o077:
        raise PermissionsTooWide(f"mode {mode:04o} gives the key to others")
    key = content.decode("ascii").strip()
    if KEY.fullmatch(key) is None:
        raise ValueError("no key")
    return key


def read_runtimes(reader: Reader) -> Runtimes:
    """Read ``[runtimes]`` and what is below it.

    Raises:
        ConfigError: something in it is unknown, missing, malformed, out of range, or named twice.
    """
    llamacpp = reader.subtable("runtimes", "llamacpp")
    llamacpp.refuse_unknown({LLAMACPP: _keys(LlamaCpp)})
    endpoints = tuple(_endpoint(table) for table in reader.subtables("runtimes", "endpoints", most=MAX_ENDPOINTS))
    names = [endpoint.engine for endpoint in endpoints]
    for number, name in enumerate(names):
        if name in OWN_ENGINES or name in names[:number]:
            problem = f"there is another engine called {name}"
            raise (
                reader.subtables("runtimes", "endpoints", most=MAX_ENDPOINTS)[number]
                .place(ENDPOINTS, "engine")
                .error(problem, "give it a name of its own")
            )
    return Runtimes(
        isolation=reader.choice("runtimes", "isolation", Isolation, default="namespace"),
        patience_s=reader.number("runtimes", "patience_s", low=0, high=86_400, default=1800.0),
        llamacpp=LlamaCpp(
            context=llamacpp.integer(LLAMACPP, "context", low=256, high=1_048_576, default=4096),
            parallel=llamacpp.integer(LLAMACPP, "parallel", low=1, high=256, default=1),
            threads=llamacpp.integer(LLAMACPP, "threads", low=0, high=1024, default=0),
            start_s=llamacpp.number(LLAMACPP, "start_s", low=1, high=7200, default=600.0),
        ),
        endpoints=endpoints,
    )


def read_sampling(reader: Reader) -> SamplingDefaults:
    """Read ``[sampling]``.

    Raises:
        ConfigError: something in it is malformed or out of range.
    """
    reasoning: Reasoning = reader.choice("sampling", "reasoning", Reasoning, default="engine")
    mode: Mode = reader.choice("sampling", "mode", Mode, default="chat")
    if mode == "completion" and reasoning != "engine":
        problem = "a text to go on cannot say how much to reason"
        raise reader.place("sampling", "mode").error(problem, 'leave reasoning at "engine", or mode at "chat"')
    return SamplingDefaults(
        temperature=reader.number("sampling", "temperature", low=0, high=2, default=0.0),
        top_p=reader.number("sampling", "top_p", low=0, high=1, default=1.0),
        top_k=reader.integer("sampling", "top_k", low=0, high=1_000_000, default=0),
        min_p=reader.number("sampling", "min_p", low=0, high=1, default=0.0),
        repetition_penalty=reader.number("sampling", "repetition_penalty", low=0.1, high=10, default=1.0),
        max_tokens=reader.integer("sampling", "max_tokens", low=1, high=1_048_576, default=512),
        reasoning=reasoning,
        mode=mode,
    )


def read_system_prompt(reader: Reader) -> SystemPromptFile:
    """Read ``[system_prompt]``, which needs both its keys or neither.

    Raises:
        ConfigError: a key is missing or malformed, or the file is not there.
    """
    if not (reader.has("system_prompt", "profile") or reader.has("system_prompt", "file")):
        return SystemPromptFile(profile="", file=None)
    profile = reader.text("system_prompt", "profile", IDENTIFIER, "an identifier such as assistant-v1")
    return SystemPromptFile(profile=profile, file=reader.file("system_prompt", "file"))


def _endpoint(table: Reader) -> Endpoint:
    table.refuse_unknown({ENDPOINTS: _keys(Endpoint)})
    engine = table.text(ENDPOINTS, "engine", IDENTIFIER, "an identifier such as vllm-lab")
    if table.has(ENDPOINTS, "url") == table.has(ENDPOINTS, "socket"):
        problem = "an endpoint has a url or a socket, and not both"
        raise table.place(ENDPOINTS, "url").error(problem, 'set url = "https://host:port" or socket = "path"')
    url = table.text(ENDPOINTS, "url", URL, "http://host:port or https://…") if table.has(ENDPOINTS, "url") else ""
    return Endpoint(
        engine=engine,
        url=url.rstrip("/").removesuffix("/v1"),
        socket=table.path(ENDPOINTS, "socket") if table.has(ENDPOINTS, "socket") else None,
        model=table.text(ENDPOINTS, "model", NAME, "the name that the server gives the model"),
        trust=TrustClass(table.choice(ENDPOINTS, "trust", Trust, default="exposed")),
        dialect=table.choice(ENDPOINTS, "dialect", Dialect, default="openai"),
        version=table.text(ENDPOINTS, "version", IDENTIFIER, "an identifier such as 0.11.0", default=""),
        filters=table.identifiers(ENDPOINTS, "filters", default=(), most=MAX_FILTERS),
        headers=_headers(table),
        api_key=_api_key(table),
    )


def _headers(table: Reader) -> dict[str, str]:
    headers = table.strings(ENDPOINTS, "headers", most=MAX_HEADERS)
    if not all(HEADER.fullmatch(name) and HEADER_VALUE.fullmatch(value) for name, value in headers.items()):
        raise table.place(ENDPOINTS, "headers").error("holds what is no HTTP header", 'write { "Name" = "value" }')
    return headers


def _api_key(table: Reader) -> Path | None:
    if not table.has(ENDPOINTS, "api_key"):
        return None
    inner = table.subtable(ENDPOINTS, "api_key")
    section = f"{ENDPOINTS}.api_key"
    inner.refuse_unknown({section: {"file"}})
    path = inner.file(section, "file")
    try:
        read_api_key(path)
    except OSError as error:
        raise inner.place(section, "file").error(
            f"cannot be read ({error.strerror or type(error).__name__})", "check it"
        ) from None
    except PermissionsTooWide as error:
        raise inner.place(section, "file").error(str(error), f"chmod 600 {path}") from None
    except ValueError:
        raise inner.place(section, "file").error("the file holds no key", "write the key alone into it") from None
    return path


def _keys(of: type) -> frozenset[str]:
    return frozenset(field.name for field in fields(of))
