"""Checkpoints as they were noticed, and why one was refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from heldout.cli.screens import figures
from heldout.cli.screens.page import Page, fill, lay_out
from heldout.services.checkpoints import Checkpoint

ADVICE: Final = {
    "symlink": "a symbolic link could lead anywhere: put the file itself there",
    "hard_link": "a file has a second name, from where it can be changed: copy it",
    "special_file": "a pipe, socket or device is no part of a model: leave it out",
    "bad_name": "a name is too long or has odd characters, or the folder's is no identifier such as nova-7b-rc1",
    "pickle": "a pickle runs code when it is loaded: save weights as safetensors or GGUF",
    "code": "programs and libraries are not taken in: leave them out",
    "archive": "archives are not taken in: unpack them",
    "changed_while_read": "it changed while it was read: write READY last, and nothing after",
    "unreadable": "a file or folder cannot be read: give the appliance's user the right to",
    "too_many_files": "more files than max_files: leave out what the engine does not need",
    "too_large": "larger than max_checkpoint_bytes, or a file is larger than the disk of staging takes",
    "manifest_missing": "there is no checkpoint.toml: write one with name, line and runtime",
    "manifest_invalid": "checkpoint.toml is not as it must be: name, line and runtime, each an identifier",
    "name_mismatch": "name in checkpoint.toml is not the folder's name",
    "files_mismatch": "files in checkpoint.toml are not those that are there, or have other digests",
    "empty": "there is no file of a model in it",
    "truncated": "a file ends before its header says: copy it again",
    "header_too_large": "a file's header is larger than any model's",
    "header_invalid": "a file's header cannot be read: it is damaged, or not what its name says",
    "too_many_tensors": "a header names more tensors than any model has",
    "duplicate_name": "a name stands twice in a header: save the weights anew",
    "unknown_dtype": "a tensor has a type that is not known here",
    "bad_shape": "a tensor has a shape that cannot be",
    "bad_offsets": "tensors overlap, leave gaps or lie outside their file",
    "config_invalid": "a config or chat template is damaged, too large, nested too deeply, or repeats a key",
    "remote_code": "a config asks for code of its own (auto_map): save it for an engine that knows the architecture",
    "adapter": "an adapter needs base in checkpoint.toml, and whole weights none",
    "base_unknown": "base is no checkpoint that was staged before it: stage that first",
}
"""What each reason means and what to change; keys and files named are those of the checkpoint or of ``config.toml``."""

AGAIN: Final = "a refused name is not looked at again: mend it under another name"


def checkpoints_page(checkpoints: Sequence[Checkpoint]) -> Page:
    """List checkpoints in the order they were noticed."""
    # What is refused has no digest, so why it is refused can stand there, in full.
    rows = [["checkpoint", "line", "runtime", "state", "noticed, UTC", "digest, or why"]]
    rows += [
        [
            one.name,
            one.line,
            one.runtime,
            one.state.value,
            figures.moment(one.noticed_s).removesuffix(" UTC"),
            one.reason or one.digest[:8],
        ]
        for one in checkpoints
    ]
    lines = lay_out(rows, "<<<<<<") if checkpoints else ["no checkpoint was noticed yet"]
    refused = dict.fromkeys(one.reason for one in checkpoints if one.reason in ADVICE)
    for reason in refused:
        lines += fill(f"{reason}: {ADVICE[reason]}", indent="    ", first="  ")
    if refused:
        lines.append(AGAIN)
    return Page(
        lines=(*lines, "receipt verified"),
        data=[
            {
                "name": one.name,
                "line": one.line,
                "sequence": one.sequence,
                "runtime": one.runtime,
                "digest": one.digest,
                "state": one.state.value,
                "reason": one.reason,
                "advice": ADVICE.get(one.reason, ""),
                "noticed_s": one.noticed_s,
            }
            for one in checkpoints
        ],
    )
