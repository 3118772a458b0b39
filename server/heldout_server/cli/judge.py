"""``heldout-server judge``: how far the judge agrees with people. No appliance is needed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from heldout_server.app.documents import read_document
from heldout_server.cli.options import AsJson, examples
from heldout_server.domain import Intent

app = typer.Typer(help="Measure the judge against people's labels.", no_args_is_help=True)


@app.command(
    "measure",
    epilog=examples(
        "judge measure labelled.jsonl --by source",
        "judge measure labelled.jsonl --intent harmful --json",
        note='A line: {"prompt": "…", "response": "…", "label": "refused"}.',
    ),
)
def judge_measure(
    file: Annotated[
        Path, typer.Argument(help="One JSON object a line: prompt, response, label.", metavar="FILE.jsonl")
    ],
    by: Annotated[str, typer.Option(help="A field to group by: source, technique, intent, …")] = "",
    intent: Annotated[
        Intent | None, typer.Option(help="Judge every prompt as this; otherwise as its line says, or harmful.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how far the judge agrees with people, on labelled responses. No appliance is needed.

    Labels: complied, refused, partial; or achieved, not_achieved. Optional fields: intent, ending, source, technique.
    """
    from heldout_server.judges import PatternJudge
    from heldout_server.judges.labelled import agree_by_group, judge_cases, read_cases
    from heldout_server.judges.measure import agree
    from heldout_server.judges.measure_table import render_document, render_table

    judge = PatternJudge()
    cases = read_cases(read_document(file).splitlines(), by=by, intent=intent)
    began = time.process_time()
    pairs = judge_cases(judge, cases)
    seconds = time.process_time() - began
    groups = agree_by_group(cases, pairs) if by else {}
    if as_json:
        document = render_document(agree(pairs), groups)
        document |= {"judge": judge.judge_id, "digest": judge.digest, "responses_per_s": len(cases) / seconds}
        typer.echo(json.dumps(document, ensure_ascii=False))
        return
    typer.echo(f"judge {judge.judge_id}, digest {judge.digest[:16]}, {len(cases):,} labelled responses\n")
    typer.echo(render_table(agree(pairs), groups))
    characters = sum(len(one.case.response) for one in cases)
    typer.echo(
        f"\n{len(cases) / seconds:,.0f} responses a second on one core, {characters / len(cases):,.0f} characters each"
    )
