"""A key holder's share of the root key, in the file that ``heldout-server init`` wrote."""

from __future__ import annotations

import base64
import binascii
import hashlib
import stat
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from heldout.errors import ProfileError

FORMAT: Final = "heldout-key-share/1"
SHARE_BYTES: Final = 32
MOST_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyShare:
    """Hold a share.

    Attributes:
        appliance: name of the appliance that it helps to open.
        share_set: the set that it belongs to.
        number: its place in it, from 1.
        value: 32 bytes.
    """

    appliance: str
    share_set: str
    number: int
    value: bytes = field(repr=False)


def read_key_share(path: Path) -> KeyShare:
    """Read a share, and check that the file is whole.

    Raises:
        ProfileError: it cannot be read, others may read it, or it holds no whole share.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ProfileError(f"{path}: mode {mode:04o} gives it to others: chmod 600 {path}")
    try:
        document = tomllib.loads(content.decode())
        share = KeyShare(
            appliance=str(document["appliance"]),
            share_set=str(document["set"]),
            number=int(document["number"]),
            value=base64.b64decode(document["share"], validate=True),
        )
        text = f"{FORMAT}\n{share.share_set}\n{share.number}\n".encode() + share.value
        whole = document["format"] == FORMAT and document["check"] == hashlib.sha256(text).hexdigest()
    except (ValueError, KeyError, TypeError, binascii.Error):
        whole = False
    if not whole or len(share.value) != SHARE_BYTES:
        raise ProfileError(f"{path}: does not hold a whole key share; take the file as heldout-server init wrote it")
    return share
