"""What came of a few harmless questions, and what to change."""

from __future__ import annotations

from typing import Any, Final

from heldout.cli.screens.page import Page, fill, join_parts
from heldout.services.runs import Preflight, PreflightFinding

ADVICE: Final = {
    PreflightFinding.NO_START: "nothing came up that could be asked: look at the files, or at the endpoint's address",
    PreflightFinding.NOT_CONTAINED: "the machine cannot keep a runtime in: see its log, and isolation in config.toml",
    PreflightFinding.ACCESS_REFUSED: "the endpoint refused the appliance's key: correct what api_key points to",
    PreflightFinding.NO_ANSWER: "a question got no answer: look at the engine, or raise deadline_s",
    PreflightFinding.NO_CHAT_TEMPLATE: 'its files hold no chat template: add its own, or set mode = "completion"',
    PreflightFinding.TRUNCATED: "an answer was cut short: raise max_tokens, or check its stop tokens",
    PreflightFinding.BLOCKED: "a filter in front stopped a harmless question: look at its settings",
    PreflightFinding.EMPTY_ANSWER: "an answer was empty: check the chat template",
    PreflightFinding.EMPTY_BESIDE_REASONING: 'only reasoning came: raise max_tokens, or set reasoning = "off"',
    PreflightFinding.STOP_TOKENS: "special tokens stood in an answer: correct its chat template and stop tokens",
    PreflightFinding.TOOL_CALLS: "it called tools that nobody offered: correct its chat template",
}
"""What each finding means and what to change. The keys named are those of the appliance's ``config.toml``."""


def preflight_page(checkpoint: str, preflight: Preflight) -> Page:
    """Show what came of the questions that somebody asked for."""
    lines = join_parts([checkpoint, f"{preflight.asked} harmless questions", _conclusion(preflight)])
    lines += finding_lines(preflight)
    return Page(
        lines=(*lines, "receipt verified"),
        data={"checkpoint": checkpoint, **preflight_data(preflight)},
    )


def run_lines(preflight: Preflight) -> list[str]:
    """Return the part of a run's page that says what came of the questions before its start."""
    return [*fill(f"preflight: {_conclusion(preflight)}", indent="    ", first="  "), *finding_lines(preflight)]


def finding_lines(preflight: Preflight) -> list[str]:
    """Return a line for each finding: its name, and what to change."""
    lines: list[str] = []
    for finding in preflight.findings:
        lines += fill(f"{finding.value}: {ADVICE[finding]}", indent="      ", first="    ")
    return lines


def preflight_data(preflight: Preflight) -> dict[str, Any]:
    """Return a preflight for JSON."""
    return {
        "asked": preflight.asked,
        "answered": preflight.answered,
        "findings": [{"finding": finding.value, "advice": ADVICE[finding]} for finding in preflight.findings],
    }


def _conclusion(preflight: Preflight) -> str:
    if not preflight.answered:
        return "it says nothing, so no run of it starts"
    return "a run can start, and look at this first" if preflight.findings else "nothing looks wrong"
