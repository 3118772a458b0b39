"""A witness's key, and what it cosigned."""

from __future__ import annotations

from collections.abc import Mapping

from heldout.cli.screens import figures
from heldout.cli.screens.page import Page, fill
from heldout.verification.cosignature import WitnessKey, cosigned_at
from heldout.verification.note import parse_checkpoint, split_note


def key_page(key: WitnessKey, *, file: str) -> Page:
    """Show a new key's public half, and where it goes."""
    lines = [
        *fill(f"{file} holds the secret key of {key.name}: keep it away from the appliance", indent="  ", first=""),
        "for release.toml, so that releases wait for this witness:",
        "",
        "[witness]",
        "keys = [",
        f'"{key.vkey}",',
        "]",
        "maximum_age_s = 86400",
    ]
    return Page(lines=tuple(lines), data={"vkey": key.vkey, "file": file})


def cosigned_page(notes: Mapping[str, str], key: WitnessKey) -> Page:
    """Show the heads that were cosigned, by half."""
    heads = {half: parse_checkpoint(split_note(note)[0]) for half, note in notes.items()}
    lines = [
        f"✓ {head.origin}: {head.size:,} entries cosigned, {figures.moment(cosigned_at(notes[half], key))}"
        for half, head in heads.items()
    ]
    data = {half: {"size": head.size, "root": head.root.hex(), "note": notes[half]} for half, head in heads.items()}
    return Page(lines=tuple(lines), data=data)
