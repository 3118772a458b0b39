"""Be careless: files that everybody may read, a backup that lies around, profiles that are passed on."""

from __future__ import annotations

import contextlib
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.furnishing import CANARY
from heldout_server.attack.scene import SHARED, SYSTEM_WORD, WORDS
from heldout_server.attack.search import find_words
from heldout_server.attack.setting import Setting
from heldout_server.attack.stage import Stage
from heldout_server.errors import ConfigError

KEYS: Final = ("keys/root.key", "keys/ring.json", "pki/server.key")
SECRET: Final = ("keys/*", "pki/*.key", "vault/*", "window/*")
"""What nobody but the appliance's user may read."""

WIDE: Final = 0o644
OTHERS: Final = 0o077
OWN: Final = ("checkpoints", "staging", "system.txt")
"""What the model's owner and the operator wrote themselves."""


async def run(stage: Stage) -> Finding:
    """Fill an appliance, then do one careless thing after another with its files."""
    await stage.furnish()
    folder = stage.own_folder
    shown = [path for pattern in SECRET for path in folder.glob(pattern) if is_open(path, folder)]
    await stage.stop()
    started = [name for name in KEYS if not await _is_refused(stage, folder / name)]

    backup = folder.parent / "backup"
    shutil.copytree(folder, backup, ignore=shutil.ignore_patterns(*OWN))
    lying = [backup / name for name in ("keys", "pki", "profiles")]
    contents = [path.read_bytes() for path in backup.rglob("*") if path.is_file()]
    words = find_words((CANARY, SYSTEM_WORD, *WORDS), contents)
    for secret in lying[:2]:
        shutil.rmtree(secret)

    usable = _is_usable(lambda: Stage(lying[2]).certificate("bank_tester"))
    learned = [
        *(f"{path.relative_to(folder)} can be read by others" for path in shown),
        *(f"it starts with {name} for everybody to read" for name in started),
        *(f"the backup holds {word}" for word in words),
        *(["a copied profile is enough to call"] if usable else []),
    ]
    return Finding(
        tried=f"looked at the modes of its files, gave {', '.join(KEYS)} to everybody, searched a backup of "
        f"{sum(map(len, contents)):,} bytes, copied the profiles",
        learned="; ".join(learned)
        or "nothing: it does not start with an open key, and neither backup nor profiles say anything without the keys",
        held=not learned,
    )


def is_open(path: Path, folder: Path) -> bool:
    """Say whether somebody else may read a file: its own mode lets them, and those of the folders above it."""
    inner = [path, *(one for one in path.parents if one.is_relative_to(folder))]
    return all(stat.S_IMODE(one.stat().st_mode) & OTHERS for one in inner)


async def _is_refused(stage: Stage, path: Path) -> bool:
    """Say whether the appliance refuses to start while everybody may read a file."""
    with _open_to_all(path):
        refusal = await stage.try_start()
    if not refusal:
        await stage.stop()
    return bool(refusal)


@contextlib.contextmanager
def _open_to_all(path: Path) -> Iterator[None]:
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(WIDE)
    try:
        yield
    finally:
        path.chmod(mode)


def _is_usable(read: Callable[[], object]) -> bool:
    try:
        read()
    except (ConfigError, OSError):
        return False
    return True


ATTACK = Attack(
    name="careless-operator",
    plays=Player.OPERATOR,
    explains="leave keys open to everybody, a backup lying around, profiles passed on",
    needs=Needs.OWN,
    run=run,
    setting=Setting(config=SHARED.config, tables=SHARED.tables, files=SHARED.files),
)
