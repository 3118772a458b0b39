"""A profile: where the appliance is, who we are, and which log keys we believe."""

from __future__ import annotations

import contextlib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from heldout.errors import ProfileError

HALVES: Final = ("vault", "window")
ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")
"""``host:port``, IPv6 in brackets."""

MAX_FILE_BYTES: Final = 1 << 20
WORDS: Final = ("address", "ca", "certificate", "key", "server_name", "window_address", "window_server_name")
OPTIONAL: Final = frozenset({"server_name", "window_address", "window_server_name"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Hold what a client needs to call an appliance, all read and checked.

    Attributes:
        address: host and port.
        server_name: the name in the appliance's certificate; empty for that of the address.
        authority, certificate, key: PEM.
        identity: the one URI name in the certificate: who we are in the log.
        vkeys: the verifier key of the log of each half, ``vault`` and ``window``.
        pack_key: the key to which packs of prompts are sealed, 32 bytes; empty if the profile pins none.
        window_address: host and port of the window half, where that is a process of its own; else empty.
        window_server_name: the name in its certificate; empty for ``server_name``.
        memory: file of what the client remembers from one process to the next; None for the usual place.
    """

    address: str
    server_name: str
    authority: bytes
    certificate: bytes
    key: bytes
    identity: str
    vkeys: Mapping[str, str]
    pack_key: bytes = b""
    window_address: str = ""
    window_server_name: str = ""
    memory: Path | None = None

    def __repr__(self) -> str:
        """Leave the key out."""
        return f"Profile(address={self.address!r}, identity={self.identity!r})"


def read_profile(path: str | os.PathLike[str]) -> Profile:
    """Read a profile and the files that it names; their paths are relative to its folder.

    Raises:
        ProfileError: something is missing or malformed.
    """
    file = Path(path)
    try:
        document = tomllib.loads(_read(file, "the profile").decode())
    except UnicodeDecodeError:
        raise ProfileError(f"{file}: not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{file}: not TOML: {error}") from None
    if "listen" in document and "data" in document:
        raise ProfileError(f"{file}: is the config of an appliance: name a profile, from the folder profiles beside it")
    unknown = document.keys() - {*WORDS, "logs", "bank", "memory"}
    if unknown:
        raise ProfileError(f"{file}: {min(unknown)}: unknown key")
    words = {name: _word(document, name, file) for name in WORDS if name not in OPTIONAL or name in document}
    for name in ("address", "window_address"):
        if name in words and not ADDRESS.fullmatch(words[name]):
            raise ProfileError(f"{file}: {name}: must be host and port, such as 127.0.0.1:7443")
    certificate = _read(file.parent / words["certificate"], f"{file}: certificate")
    key = _read(file.parent / words["key"], f"{file}: key")
    return Profile(
        address=words["address"],
        server_name=words.get("server_name", ""),
        authority=_read(file.parent / words["ca"], f"{file}: ca"),
        certificate=certificate,
        key=key,
        identity=_identity(certificate, key, file),
        vkeys=_vkeys(document.get("logs"), file),
        window_address=words.get("window_address", ""),
        window_server_name=words.get("window_server_name", words.get("server_name", "")),
        pack_key=_pack_key(document.get("bank", {}), file),
        memory=file.parent / _word(document, "memory", file) if "memory" in document else None,
    )


def _word(document: Mapping[str, Any], name: str, file: Path) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise ProfileError(f"{file}: {name}: must be a text, and must be there")
    return value


def _vkeys(logs: object, file: Path) -> dict[str, str]:
    if not isinstance(logs, dict):
        raise ProfileError(f"{file}: [logs] must give the verifier keys of the vault and window logs")
    # Late, because cryptography takes its time and a usage error should not.
    from heldout.errors import VerificationError  # noqa: PLC0415 - see above
    from heldout.verification import VerifierKey  # noqa: PLC0415 - see above

    vkeys: dict[str, str] = {}
    for half in HALVES:
        vkey = _word(logs, half, file)
        try:
            VerifierKey.parse(vkey)
        except VerificationError as error:
            raise ProfileError(f"{file}: logs.{half}: {error}") from None
        vkeys[half] = vkey
    return vkeys


def _pack_key(bank: object, file: Path) -> bytes:
    from heldout.packs import PackKeyError, parse_key  # noqa: PLC0415 - few profiles have one

    if not isinstance(bank, dict) or bank.keys() - {"pack_key"}:
        raise ProfileError(f"{file}: [bank] holds pack_key alone")
    if not bank:
        return b""
    try:
        return parse_key(_word(bank, "pack_key", file))
    except PackKeyError as error:
        raise ProfileError(f"{file}: bank.pack_key: {error}") from None


def _identity(certificate: bytes, key: bytes, file: Path) -> str:
    """Return the one URI name in the certificate, once the key is known to be its own."""
    from cryptography import x509  # noqa: PLC0415 - late, see _vkeys

    from heldout.certificates import load_certificate, verify_pair  # noqa: PLC0415 - likewise

    names: list[str] = []
    own = load_certificate(certificate)
    if own is not None:
        with contextlib.suppress(ValueError, x509.ExtensionNotFound):
            alternative = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            names = alternative.get_values_for_type(x509.UniformResourceIdentifier)
    if own is None or len(names) != 1:
        raise ProfileError(f"{file}: certificate: must be a PEM certificate with exactly one URI name")
    try:
        verify_pair(own, key)
    except ProfileError as error:
        raise ProfileError(f"{file}: {error}") from None
    return names[0]


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ProfileError(f"{what}: no such file: {path}") from None
    except OSError as error:
        raise ProfileError(f"{what}: cannot be read: {path} ({error.strerror})") from None
    if len(content) > MAX_FILE_BYTES:
        raise ProfileError(f"{what}: longer than {MAX_FILE_BYTES} bytes: {path}")
    return content
