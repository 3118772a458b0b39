"""Which releases are about a folder's weights."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.cli.screens import figures
from heldout.cli.screens.exactness import exact_data, exact_lines
from heldout.cli.screens.page import Page, join_parts, lay_out
from heldout.findings.model import Release


def weights_page(folder: str, *, digest: str, about: Sequence[Release], adapters: Sequence[Release], of: int) -> Page:
    """Show the releases that name a digest.

    Args:
        folder: the folder's name.
        digest: hex SHA-256 of its files.
        about: the releases that name it.
        adapters: those about an adapter of it: they say nothing of these files alone.
        of: how many releases were looked through.
    """
    lines = [*join_parts([folder, f"digest {figures.short(digest)}"]), *exact_lines(*about)]
    if about:
        rows = [
            [f"release {release.number}", release.release_id, release.tested.checkpoint, _tables(release)]
            for release in about
        ]
        lines += lay_out(rows, "<<<<", indent=" ", flexible=1)
        verb = "is" if len(about) == 1 else "are"
        lines += join_parts([f"{len(about)} of {of} releases {verb} about exactly these files", "receipts verified"])
    else:
        lines += join_parts([f"none of {of} releases is about exactly these files", "receipts verified"])
    for release in adapters:
        lines += join_parts(
            [f"release {release.number}", f"about {release.tested.checkpoint}, an adapter of these files"]
        )
    return Page(
        lines=tuple(lines),
        data={
            "folder": folder,
            "digest": digest,
            "releases": [
                {
                    "release_id": release.release_id,
                    "number": release.number,
                    "epoch_id": release.epoch_id,
                    "checkpoint": release.tested.checkpoint,
                    "manifest_digest": release.manifest_digest,
                    "tables": [str(table.kind) for table in release.tables],
                    "cancelled": release.cancelled,
                }
                for release in about
            ],
            **exact_data(*about),
            "adapters": [
                {"release_id": release.release_id, "checkpoint": release.tested.checkpoint} for release in adapters
            ],
            "receipt": "verified",
        },
    )


def _tables(release: Release) -> str:
    if release.cancelled:
        return "cancelled: no figures"
    if release.anchor:
        return "light, restates an earlier one"
    return "full" if release.full else "light"
