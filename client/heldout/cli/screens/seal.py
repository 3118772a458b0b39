"""Whether the appliance is sealed."""

from __future__ import annotations

from typing import Any

from heldout.cli.screens.page import Page, fill
from heldout.services.seal import KeyProvider, SealStatus


def status_page(status: SealStatus) -> Page:
    """Show how things stand."""
    if status.provider is KeyProvider.FILE:
        lines = fill("open: its root key lies in a file, so it cannot be sealed", indent="  ", first="")
    elif status.sealed:
        given = len(status.given_by)
        lines = [f"sealed: {given} of {status.threshold} shares given (of {status.shares} in all, {status.share_set})"]
        lines += [f"  given by {identity}" for identity in status.given_by]
    else:
        lines = [f"open ({status.threshold} of {status.shares} shares were needed, {status.share_set})"]
        lines += [f"  opened by {identity}" for identity in status.given_by]
    return Page(lines=tuple(lines), data=_data(status))


def sealing_page(status: SealStatus) -> Page:
    """Say that it is being closed."""
    line = f"sealing: it stands in both logs. {status.threshold} of {status.shares} key holders open it again"
    return Page(lines=tuple(fill(line, indent="  ", first="")), data={**_data(status), "sealing": True})


def _data(status: SealStatus) -> dict[str, Any]:
    return {
        "sealed": status.sealed,
        "provider": status.provider.value,
        "share_set": status.share_set,
        "shares": status.shares,
        "threshold": status.threshold,
        "given_by": list(status.given_by),
    }
