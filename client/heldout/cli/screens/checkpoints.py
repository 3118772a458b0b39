"""Checkpoints as they were noticed, and why one was refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from heldout.cli.screens import figures
from heldout.cli.screens.page import Page, fill, lay_out
from heldout.services.checkpoints import Checkpoint, CheckpointState

ADVICE: Final = {
    "symlink": "a symbolic link could lead anywhere: put the file itself there",
    "hard_link": "a file has a second name, from where it can be changed: copy it",
    "special_file": "a pipe, socket or device is no part of a model: leave it out",
    "bad_name": "a name is too long or has odd characters, or the folder's is no identifier such as nova-7b-rc1",
    "pickle": "a file is a pickle, which runs code when it is loaded: save weights as safetensors or GGUF",
    "pickle_name": "engines load a file of that ending as a pickle, whatever it holds: save weights as safetensors or"
    " GGUF, and leave it out",
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
    "no_runtime": "nothing here serves the engine that it asks for: the operator sets it up under [runtimes], then a"
    " tester proposes a run",
    "no_marker": "READY is not in the folder: write it last, when all else is there",
    "stray_file": "a file by itself is no checkpoint: put it into a folder with checkpoint.toml, and READY last",
}
"""What each reason means and what to change; keys and files named are those of the checkpoint or of ``config.toml``."""

FAULTS: Final = {
    "not_utf8": "is not UTF-8 text",
    "not_toml": "is not TOML",
    "too_long": "is longer than it may be",
    "too_nested": "is nested deeper than it may be",
    "several_lines": "has a text over several lines",
    "unknown_key": "has a key that is not known; name, line, runtime, base and [files] are",
    "missing": "is missing",
    "not_a_name": "is not an identifier such as nova-7b-rc1",
    "not_digests": "does not give a SHA-256, 64 hex digits, for each file",
}
"""What is wrong in ``checkpoint.toml``, as the appliance says it of a line or a key."""

STAND_IN: Final = re.compile(r"(?:refused|waiting)-[0-9]+")
STANDS_IN: Final = "a name such as {name} stands in for one that is no identifier such as nova-7b-rc1"
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
    reasons = dict.fromkeys(one.reason for one in checkpoints if one.reason in ADVICE)
    for reason in reasons:
        lines += fill(f"{reason}: {ADVICE[reason]}", indent="    ", first="  ")
        for one in checkpoints:
            if one.reason == reason and (place := _place(one.detail)):
                lines += fill(f"{one.name}: {place}", indent="      ", first="    ")
    stand_in = next((one.name for one in checkpoints if STAND_IN.fullmatch(one.name)), None)
    if stand_in is not None:
        lines += fill(STANDS_IN.format(name=stand_in))
    if any(one.state is CheckpointState.REFUSED for one in checkpoints):
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
                "detail": one.detail,
                "advice": ADVICE.get(one.reason, ""),
                "noticed_s": one.noticed_s,
            }
            for one in checkpoints
        ],
    )


def _place(detail: str) -> str:
    """Say where in a checkpoint something is wrong; empty where that is not known."""
    said = dict.fromkeys(("key", "line", "file", "ending"), "")
    fault = ""
    for part in detail.split("."):
        name, _, value = part.partition("-")
        if name in said and value:
            said[name] = value
        elif part in FAULTS:
            fault = FAULTS[part]
    if said["file"]:
        ending = f", a .{said['ending']}," if said["ending"] else ""
        return f"file {said['file']}{ending} in the order of their paths"
    if not fault:
        return ""
    line = f" line {said['line']}" if said["line"] else ""
    key = f": {said['key']}" if said["key"] else ""
    return f"checkpoint.toml{line}{key} {fault}"
