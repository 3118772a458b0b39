"""Make the folder of an appliance.

1. Build it in a sibling folder that nobody knows.
2. Load what was written the way ``serve`` will: config, policy documents, signature.
3. Rename it into place, which is atomic and works only onto nothing or an empty folder.
"""

from __future__ import annotations

import ipaddress
import secrets
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from heldout_policy.authorization import Authorization
from heldout_policy.principals import Principals, parse_principals
from heldout_policy.release_policy import parse_release_policy
from heldout_server.audit import KEPT_FILE, begin_kept_key
from heldout_server.audit.note import CheckpointSigner
from heldout_server.config import Config, load_config, load_window_config
from heldout_server.config.sections import ADDRESS, MAX_PORT
from heldout_server.domain import IDENTIFIER
from heldout_server.errors import ConfigError, StorageError
from heldout_server.installation.documents import (
    bank_text,
    config_text,
    principals_text,
    profile_text,
    reachable,
)
from heldout_server.installation.pki import Authority, Issued, private_pem
from heldout_server.installation.window_documents import window_config_text, window_profile_text
from heldout_server.keys import FileKeyRing, open_ring, sign_policy, verify_policy_signature, write_window_ring
from heldout_server.keys.private_files import write_private
from heldout_server.keys.shares import share_text
from heldout_server.ports.environment import Clock

FOLDERS: Final = ("keys", "pki", "policy", "profiles", "vault", "window", "checkpoints", "staging", "run")
SERVER_IDENTITY: Final = "spiffe://{trust_domain}/server"
DEFAULT_NAME: Final = "heldout-dev"
DEFAULT_ADDRESS: Final = "127.0.0.1:7443"
LOOPBACK: Final = "127.0.0.1"
FIRST_PORT: Final = 1024
"""The lowest that anybody may listen on."""
HALVES: Final = ("vault", "window")
PLANNED: Final = b'publish = "as_planned"\nslot_s = 3600\n'
AT_ONCE: Final = b"""\
# For development, as the installation makes it. For a real bank take these two lines instead, and sign it:
# publish = "as_planned"
# slot_s = 3600
publish = "on_completion"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """Say what an installation holds.

    Attributes:
        config: path of ``config.toml``.
        name: the appliance.
        address: where a client on this machine reaches it.
        profiles: path of the client profile by role, or by name where several people have the role.
        verifier_keys: of the logs by half, for auditors to keep elsewhere.
    """

    config: Path
    name: str
    address: str
    profiles: Mapping[str, Path]
    verifier_keys: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """Say how the root key is split.

    Attributes:
        shares: people who get one, 2 to 16.
        threshold: how many of them open the bank, 2 to ``shares``.
    """

    shares: int
    threshold: int


def install(
    folder: Path,
    *,
    name: str = DEFAULT_NAME,
    address: str = DEFAULT_ADDRESS,
    health: str | None = None,
    window: str | None = None,
    window_health: str | None = None,
    clock: Clock,
    release_policy: Path | None = None,
    sharing: Sharing | None = None,
) -> None:
    """Make everything that an appliance needs: keys, certificates, signed policy, config, profiles.

    Args:
        folder: where; it must be empty or not exist, and its parent must exist.
        name: the appliance, an identifier; its logs are called after it.
        address: ``host:port`` of the service.
        health: ``host:port`` of the health server; None for loopback, the next port.
        window: ``host:port`` of the window half, if it is to be a process of its own: profiles then say so.
        window_health: ``host:port`` of the health server of such a process; None for loopback, the next port.
        clock: tells when certificates begin.
        release_policy: a ``release.toml`` to install and sign instead of the default.
        sharing: how the root key is split; None writes it into a file, for development only.

    Raises:
        ConfigError: the folder holds something, or an argument is not possible. Nothing is left behind.
        PolicyError: ``release_policy`` is no policy. Nothing is left behind.
        StorageError: the disk fails. Nothing is left behind.
    """
    target = folder.absolute()
    _refuse_taken(target)
    if IDENTIFIER.fullmatch(name) is None:
        raise ConfigError("name: must be an identifier such as heldout-dev\n  lower-case letters, digits, dots, dashes")
    given = [one for one in (address, health, window, window_health) if one is not None]
    if any(ADDRESS.fullmatch(one) is None for one in given):
        raise ConfigError("address, health, window: must be host:port\n  such as 127.0.0.1:7443, or [::1]:7443")
    health = health or _beside(address, *given)
    window_at = window or _beside(address, health, *given)
    window_health = window_health or _beside(window_at, address, health)
    try:
        building = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise StorageError(f"{target.parent}: cannot make a folder in it ({type(error).__name__})") from None
    try:
        ring = _build(
            building,
            name=name,
            address=address,
            health=health,
            clock=clock,
            release_policy=release_policy,
            sharing=sharing,
        )
        _build_window(building, ring, name=name, address=window_at, health=window_health, apart=window is not None)
        building.rename(target)
    except BaseException as error:
        shutil.rmtree(building)
        if isinstance(error, OSError):
            raise StorageError(f"{target}: cannot be made ({type(error).__name__})") from None
        raise


def describe(folder: Path) -> Installed:
    """Say what an installation holds.

    Raises:
        ConfigError: it is no installation.
        WrongKey: its root key is not that of its ring.
    """
    config = load_config(folder / "config.toml")
    principals = parse_principals((config.policy.folder / "principals.toml").read_text(encoding="utf-8"))
    return Installed(
        config=folder / "config.toml",
        name=config.appliance.name,
        address=reachable(config.listen.address),
        profiles={name: folder / "profiles" / f"{name}.toml" for name in sorted(name_people(principals).values())},
        verifier_keys=_verifier_keys(config, open_ring(config.keys)),
    )


def _beside(address: str, *taken: str) -> str:
    """Return loopback with the next port above an address that is not taken; where a port is 0, any that is free."""
    ports = {int(one.rpartition(":")[2]) for one in (address, *taken)}
    port = int(address.rpartition(":")[2])
    while port and port in ports:
        port = port + 1 if port < MAX_PORT else FIRST_PORT
    return f"{LOOPBACK}:{port}"


def _refuse_taken(target: Path) -> None:
    if not target.parent.is_dir():
        raise ConfigError(f"{target.parent}: no such folder\n  create it first")
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise ConfigError(f"{target}: is not a folder\n  name one that does not exist yet")
    if target.exists() and any(target.iterdir()):
        raise ConfigError(f"{target}: is not empty\n  an installation is never overwritten: name another folder")


def _build(
    folder: Path,
    *,
    name: str,
    address: str,
    health: str,
    clock: Clock,
    release_policy: Path | None,
    sharing: Sharing | None,
) -> FileKeyRing:
    for part in FOLDERS:
        (folder / part).mkdir(mode=0o700)
    # Keys and the bank lie here: an installation inside somebody's repository must never be committed.
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    holders = _holders(sharing)
    ring = _write_keys(folder, name, sharing, holders)
    principals = _write_policy(folder, release_policy, holders)
    people = name_people(principals)
    _write_certificates(folder, name=name, address=address, principals=principals, people=people, clock=clock)
    text = config_text(name=name, address=address, health=health, shared=sharing is not None)
    (folder / "config.toml").write_text(text, encoding="utf-8")
    config = load_config(folder / "config.toml")
    keys = _verifier_keys(config, ring)
    for identity, role in principals.roles.items():
        person = people[identity]
        text = profile_text(config, name=person, vault=keys["vault"], window=keys["window"])
        if role == "bank_tester":
            text += bank_text(ring.pack_key().public_key().public_bytes_raw())
        (folder / "profiles" / f"{person}.toml").write_text(text, encoding="utf-8")
    return ring


def name_people(principals: Principals) -> dict[str, str]:
    """Return what files of each identity are called: its role, or the end of its name where several have the role."""
    roles = Counter(principals.roles.values())
    return {
        identity: role if roles[role] == 1 else identity.rpartition("/")[2]
        for identity, role in principals.roles.items()
    }


def _holders(sharing: Sharing | None) -> tuple[str, ...]:
    """Return the names of the key holders whom the default ``principals.toml`` does not list."""
    return () if sharing is None else tuple(f"key-holder-{number}" for number in range(1, sharing.shares + 1))


def _write_keys(folder: Path, name: str, sharing: Sharing | None, holders: Sequence[str]) -> FileKeyRing:
    keys = folder / "keys"
    if sharing is None:
        return FileKeyRing.create(keys / "root.key", keys / "ring.json")
    ring, book, shares = FileKeyRing.create_shared(
        keys / "ring.json", keys / "shares.json", shares=sharing.shares, threshold=sharing.threshold
    )
    (folder / "shares").mkdir(mode=0o700)
    begin_kept_key(folder / "vault" / KEPT_FILE, ring, random_bytes=secrets.token_bytes)
    for holder, share in zip(holders, shares, strict=True):
        write_private(folder / "shares" / f"{holder}.toml", share_text(share, book, appliance=name))
    return ring


def _build_window(folder: Path, keys: FileKeyRing, *, name: str, address: str, health: str, apart: bool) -> None:
    """Write what a window half needs that is served by itself; it is not used where both halves are one process."""
    (folder / "keys" / "window").mkdir(mode=0o700)
    root, ring = folder / "keys" / "window" / "root.key", folder / "keys" / "window" / "ring.json"
    write_window_ring(keys, root_key_path=root, ring_path=ring)
    text = window_config_text(name=name, address=address, health=health)
    (folder / "window.toml").write_text(text, encoding="utf-8")
    load_window_config(folder / "window.toml")
    for profile in (folder / "profiles").iterdir():
        text = window_profile_text(profile.read_text(encoding="utf-8"), address, apart=apart)
        profile.write_text(text, encoding="utf-8")


def _write_policy(folder: Path, release_policy: Path | None, holders: Sequence[str]) -> Principals:
    documents = {
        document: _default(document) for document in ("release.toml", "authorization.cedar", "principals.toml")
    }
    documents["release.toml"] = _for_development(documents["release.toml"])
    if holders:
        documents["principals.toml"] = principals_text(_text(documents["principals.toml"]), holders).encode()
    if release_policy is not None:
        try:
            documents["release.toml"] = release_policy.read_bytes()
        except OSError as error:
            raise ConfigError(f"{release_policy}: cannot be read ({type(error).__name__})") from None
    for document, content in documents.items():
        (folder / "policy" / document).write_bytes(content)
    signer = Ed25519PrivateKey.generate()
    signer_pem = signer.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signature = sign_policy(documents["release.toml"], private_pem(signer))
    (folder / "policy" / "release.toml.sig").write_bytes(signature)
    (folder / "policy" / "signer.pem").write_bytes(signer_pem)
    write_private(folder / "pki" / "policy_signer.key", private_pem(signer))
    verify_policy_signature(documents["release.toml"], signature, signer_pem)
    parse_release_policy(_text(documents["release.toml"]))
    Authorization.parse(_text(documents["authorization.cedar"]))
    return parse_principals(_text(documents["principals.toml"]))


def _write_certificates(
    folder: Path, *, name: str, address: str, principals: Principals, people: Mapping[str, str], clock: Clock
) -> None:
    authority = Authority(f"{name} development CA", now_s=clock.now_s())
    _write_issued(folder / "pki", "ca", authority.itself())
    identity = SERVER_IDENTITY.format(trust_domain=principals.trust_domain)
    _write_issued(folder / "pki", "server", authority.issue_server(f"{name} server", _server_names(address, identity)))
    for client, person in people.items():
        _write_issued(folder / "pki", person, authority.issue_client(person, client))


def _write_issued(folder: Path, name: str, issued: Issued) -> None:
    (folder / f"{name}.pem").write_bytes(issued.certificate)
    write_private(folder / f"{name}.key", issued.key)


def _server_names(address: str, identity: str) -> list[x509.GeneralName]:
    """Name loopback, and the host that the server listens on where that is another."""
    hosts = dict.fromkeys(("127.0.0.1", "::1"))
    dns = dict.fromkeys(("localhost",))
    host = address.rpartition(":")[0].strip("[]")
    try:
        if not ipaddress.ip_address(host).is_unspecified:
            hosts[str(ipaddress.ip_address(host))] = None
    except ValueError:
        dns[host] = None
    return [
        *(x509.DNSName(name) for name in dns if name),
        *(x509.IPAddress(ipaddress.ip_address(one)) for one in hosts),
        x509.UniformResourceIdentifier(identity),
    ]


def _verifier_keys(config: Config, ring: FileKeyRing) -> dict[str, str]:
    return {
        half: CheckpointSigner(f"{config.appliance.name}/{half}", ring.audit_signing_key(half)).verifier_key
        for half in HALVES
    }


def _default(document: str) -> bytes:
    return resources.files("heldout_policy").joinpath("defaults", document).read_bytes()


def _for_development(release_toml: bytes) -> bytes:
    """Return the default policy with releases as soon as a run is complete: whoever tries Heldout does not wait."""
    before, planned, after = release_toml.partition(PLANNED)
    if not planned:
        raise ConfigError("the default release.toml has not its schedule\n  this installation of Heldout is damaged")
    return before + AT_ONCE + after


def _text(document: bytes) -> str:
    try:
        return document.decode()
    except UnicodeDecodeError:
        raise ConfigError("release.toml: not UTF-8 text\n  save it as UTF-8") from None
