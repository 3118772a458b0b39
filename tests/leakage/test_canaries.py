"""A whole workload with words that must not come out, and a search for them everywhere they could have gone.

Four words, one for each thing that a leak could start from: one stands in every prompt, one in the template that is put
around each (the system prompt), one in every answer of the model, and one is put by callers into every field of every
request, into metadata and into the names of methods. The appliance is a real process at its most talkative log level.

Where they may be: what a bank tester is told; inside encrypted databases; and the model's own answers in the folders of
its checkpoints (``checkpoints`` and ``staging``), which its owner wrote.
"""

import contextlib
import json
import shutil

import pytest
from canary_scanner import CanaryScanner
from canary_workload import (
    ANSWER_WORD,
    FAILING,
    METHODS,
    OTHERS,
    PROMPT_WORD,
    SCANNER,
    TEMPLATE_WORD,
    Workload,
)
from recorded_channel import RecordedChannel

from heldout_server.config import load_config
from heldout_server.environment import RandomIds, SystemClock
from heldout_server.keys import FileKeyRing
from heldout_server.outcomes import SqlOutcomes
from served_appliance import ServedAppliance


@pytest.fixture
async def workload(tmp_path):
    """Run the workload on an appliance that still serves."""
    served = ServedAppliance.install(
        tmp_path, log_level='"debug"', log_format='"json"', metrics_interval_s="1", in_flight="16"
    )
    template = tmp_path / "template.txt"
    template.write_text(f"You look after the {TEMPLATE_WORD}.")
    with (served.folder / "config.toml").open("a") as config:
        config.write(f'{FAILING}\n[system_prompt]\nprofile = "keeper-v1"\nfile = "{template}"\n')
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(served.close)
        await served.start()
        workload = Workload(served)
        await workload.run(stack)
        yield workload


async def exported_logs(served, folder):
    code, _, err = await served.ask("auditor", "audit", "export", folder)
    assert code == 0, err
    return list(SCANNER.find_in_files(folder))


async def stored_answer(served, run_id):
    """Return an answer as the appliance keeps it, opened with its own keys."""
    config = load_config(served.folder / "config.toml")
    ring = FileKeyRing.open(config.keys.root, config.keys.ring)
    outcomes = SqlOutcomes.open(config.data.vault / "outcomes.db", keys=ring, ids=RandomIds(), clock=SystemClock())
    try:
        return (await outcomes.response(run_id, 0)).reveal()
    finally:
        outcomes.close()


async def test_no_word_of_a_prompt_an_answer_or_a_request_comes_out_anywhere(workload, tmp_path):
    served, channels = workload.served, workload.channels

    # Nobody but the bank tester was told a word: no body, status, detail or metadata.
    for role in OTHERS:
        channel = channels[role]
        assert len(channel.received) > len(METHODS) * 10
        assert SCANNER.find(f"told to {role}", *channel.received) == []
    # The bank tester was told the prompts, and nobody's requests were quoted, not even to themselves.
    told = SCANNER.find("told to bank_tester", *channels["bank_tester"].received)
    assert {finding.word for finding in told} == {PROMPT_WORD}

    # Nothing lies on disk or in a process, at any of the moments at which it was searched.
    assert workload.found == []
    assert workload.cores == []
    assert {".db", ".db-wal", ".db-shm", ".key", ".toml"} <= workload.searched
    assert workload.children  # the model had a process of its own, and it was searched

    # What happened is in the logs, and no word is.
    assert await exported_logs(served, tmp_path / "export") == []

    # The log of the process was talkative, and had metrics in it.
    events = [json.loads(line).get("event") for line in served.said_last() if line.startswith("{")]
    assert "metric" in events

    # It was a workload: releases came of it, one checkpoint was refused, and answers hold their word where they may.
    tester, trainer = await served.client("bank_tester"), await served.client("trainer")
    tested = {release.tested.checkpoint for release in await trainer.findings.releases()}
    assert tested == {"nova-v1", "nova-v3", "nova-v4"}
    states = {one.name: one.state.value for one in await tester.checkpoints.list()}
    assert states == {"nova-v1": "staged", "nova-v2": "refused", "nova-v3": "staged", "nova-v4": "staged"}
    assert {"OK", "PERMISSION_DENIED", "INVALID_ARGUMENT"} <= set(channels["trainer"].statuses)
    runs = await tester.runs.list()
    await served.stop()
    own = [served.folder / "checkpoints", served.folder / "staging"]
    assert SCANNER.find_in_files(served.folder, without=own) == []
    # Nor in a backup as docs/operator.md makes one.
    backup = shutil.copytree(
        served.folder, tmp_path / "backup", ignore=shutil.ignore_patterns("checkpoints", "staging", "run")
    )
    assert SCANNER.find_in_files(backup) == []
    assert ANSWER_WORD in await stored_answer(served, runs[0].run_id)


@pytest.mark.slow
async def test_a_process_that_answers_trainers_and_runs_nothing_holds_no_word_in_its_memory(workload):
    """Both halves are one process: it holds what it works on. Started anew, it opens no prompt to answer anybody."""
    served = workload.served
    await served.stop()
    await served.start()
    for role in OTHERS:
        async with RecordedChannel(served.profile(role), f"127.0.0.1:{served.port}") as channel:
            for name in METHODS:
                await channel.call(name, b"")
            assert channel.received
    trainer = await served.client("trainer")
    assert len(await trainer.findings.releases()) == 3
    scanner = CanaryScanner(PROMPT_WORD, ANSWER_WORD)
    try:
        found, searched = scanner.find_in_memory(served.process.pid)
    except PermissionError:
        pytest.skip("a hardened process shows its memory to root alone")
    assert found == []
    assert searched > 50_000_000
    # It could have been found: a bank tester who looks at a prompt has it opened.
    tester = await served.client("bank_tester")
    await tester.bank.prompt((await tester.bank.handles())[0])
    found, _ = scanner.find_in_memory(served.process.pid)
    assert PROMPT_WORD in {finding.word for finding in found}
