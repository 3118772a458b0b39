"""What was tested, or will be: the same words wherever a release or a run is shown."""

from __future__ import annotations

import dataclasses
from typing import Any

from heldout.findings.model import Tested, TrustClass


def name_parts(tested: Tested) -> list[str]:
    """Return the line and the checkpoint, or the checkpoint alone where its name begins with the line's."""
    return [tested.checkpoint] if tested.checkpoint.startswith(tested.line) else [tested.line, tested.checkpoint]


def condition_parts(tested: Tested, *, judge: str, planned: bool = False) -> list[str]:
    """Return the conditions of a test, each a few words.

    Args:
        tested: the system.
        judge: its judge.
        planned: the run is still to come, so that prompts are not burnt yet.
    """
    engine = f"{tested.runtime} {tested.engine_version}".rstrip()
    parts = [
        *([f"adapter of {tested.base}"] if tested.base else []),
        f"runtime {engine}, {tested.trust.value}",
        *([tested.precision] if tested.precision else []),
        f"judge {judge}",
        f"temperature {tested.temperature:g}",
        f"{tested.max_tokens} tokens",
    ]
    if tested.attempts > 1:
        parts.append(f"{tested.attempts} attempts")
    if tested.system_profile:
        parts.append(f"system prompt {tested.system_profile}")
    if tested.completion:
        parts.append("completion, no chat template")
    if tested.reasoning_off:
        parts.append("reasoning off")
    if tested.reasoning_effort:
        parts.append(f"reasoning {tested.reasoning_effort}")
    parts += [f"filter {name}" for name in tested.filters]
    if tested.trust is TrustClass.EXPOSED:
        parts.append(
            f"an exposed runtime will see all {tested.burnt_prompts:,} prompts"
            if planned
            else "an exposed runtime saw the prompts"
        )
    return parts


def tested_data(tested: Tested) -> dict[str, Any]:
    """Return everything known of the system, for JSON."""
    return {**dataclasses.asdict(tested), "trust": tested.trust.value, "filters": list(tested.filters)}
