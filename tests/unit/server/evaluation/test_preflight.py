"""A few harmless questions before a run's start: what looks wrong is named, and silence stops the start."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
import structlog
from evaluation_fakes import Bench, FakeCheckpoints, manifest_of, members_of, settle

from heldout_server.domain import (
    CheckpointFacts,
    CheckpointState,
    Ending,
    ModelResponse,
    PreflightFinding,
    RunState,
    SecretText,
    TrustClass,
)
from heldout_server.errors import (
    EndpointError,
    EndpointUnavailable,
    IntegrityError,
    NotFound,
    RuntimeDied,
    WrongState,
)
from heldout_server.evaluation.preflight import QUESTIONS, examine

NOTHING = SecretText("")


class Model:
    """Be a runtime and its client: give every question the same answer, or fail."""

    engine, version, dialect, filters, trust = "scripted", "", "openai", (), TrustClass.CONTAINED

    def __init__(self, answer=None, *, start=None):
        self.answer = answer
        self.start = start
        self.asked = []
        self.stopped = 0

    @contextlib.asynccontextmanager
    async def serve(self, checkpoint, *, patient):
        assert not patient  # somebody waits for this start
        if self.start is not None:
            raise self.start
        try:
            yield self
        finally:
            self.stopped += 1

    async def complete(self, messages, sampling, *, timeout_s):
        self.asked.append((tuple((one.role, one.content.reveal()) for one in messages), sampling, timeout_s))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def said(text="Paris.", ending=Ending.STOP, **more):
    more = {key: SecretText(value) for key, value in more.items()}
    return ModelResponse(text=SecretText(text), ending=ending, **more)


async def report_of(model, *, facts=None, system=NOTHING):
    checkpoint = replace(FakeCheckpoints().checkpoint, facts=facts or CheckpointFacts())
    return await examine(model, checkpoint, manifest_of().sampling, system, timeout_s=3.0)


async def test_a_checkpoint_that_answers_has_no_findings_and_is_asked_as_a_trial_would_be():
    model = Model(said())
    report = await report_of(model, system=SecretText("be kind"))
    assert (report.asked, report.answered, report.findings) == (len(QUESTIONS), len(QUESTIONS), ())
    assert model.stopped == 1
    for messages, sampling, timeout_s in model.asked:
        assert (sampling, timeout_s) == (manifest_of().sampling, 3.0)
        assert messages[0] == ("system", "be kind")
        assert [role for role, _ in messages[1::2]] == ["user"] * len(messages[1::2])
        assert messages[-1][0] == "user"


@pytest.mark.parametrize(
    ("answer", "findings"),
    [
        (said(ending=Ending.LENGTH), (PreflightFinding.TRUNCATED,)),
        (said("", ending=Ending.BLOCKED_OUTPUT), (PreflightFinding.BLOCKED,)),
        (said("", ending=Ending.BLOCKED_INPUT), (PreflightFinding.BLOCKED,)),
        (said(" \n"), (PreflightFinding.EMPTY_ANSWER,)),
        (said("", reasoning="let me think"), (PreflightFinding.EMPTY_BESIDE_REASONING,)),
        (said("", tool_calls="[{}]"), (PreflightFinding.EMPTY_ANSWER, PreflightFinding.TOOL_CALLS)),
        (said("Paris.<|im_end|>"), (PreflightFinding.STOP_TOKENS,)),
        (said("Paris.<end_of_turn>"), (PreflightFinding.STOP_TOKENS,)),
        (said("[INST] Paris."), (PreflightFinding.STOP_TOKENS,)),
        (said("if a < b and c > d, see [1]"), ()),
        (EndpointError("no", reason="HTTP_400"), (PreflightFinding.NO_ANSWER,)),
        (EndpointUnavailable("away"), (PreflightFinding.NO_ANSWER,)),
        (EndpointUnavailable("no key", reason="ACCESS_REFUSED"), (PreflightFinding.ACCESS_REFUSED,)),
    ],
)
async def test_what_looks_wrong_is_named(answer, findings):
    assert (await report_of(Model(answer))).findings == findings


async def test_a_model_file_without_a_chat_template_is_named():
    without = CheckpointFacts(precision="bf16")
    with_one = CheckpointFacts(precision="bf16", chat_template_digest="1" * 64)
    assert (await report_of(Model(said()), facts=without)).findings == (PreflightFinding.NO_CHAT_TEMPLATE,)
    assert (await report_of(Model(said()), facts=with_one)).findings == ()


@pytest.mark.parametrize("error", [EndpointError("no", reason="NO_MODEL"), RuntimeDied("x"), EndpointUnavailable("x")])
async def test_what_does_not_come_up_answers_nothing(error):
    report = await report_of(Model(start=error))
    assert (report.answered, report.findings) == (0, (PreflightFinding.NO_START,))


@pytest.mark.parametrize("reason", ["NO_NAMESPACE", "NO_CONTAINMENT"])
async def test_a_machine_that_keeps_nothing_in_is_told_from_a_checkpoint_that_does_not_start(reason):
    with structlog.testing.capture_logs() as lines:
        report = await report_of(Model(start=EndpointError("no", reason=reason)))
    assert report.findings == (PreflightFinding.NOT_CONTAINED,)
    assert [line["reason"] for line in lines if line["event"] == "preflight_failed"] == [reason]


@pytest.fixture
def bench():
    return Bench(members_of(2, 1), preflight=True)


async def test_a_run_starts_after_its_questions_which_are_no_trials(bench):
    async with bench.evaluation() as evaluation:
        await bench.start(evaluation)
        await settle(evaluation)
    assert (bench.model.starts, len(bench.outcomes.verdicts())) == (2, 2 * 3 + 1)
    assert bench.log[0] == "run-1 logged preflight"
    event = bench.audit.records[0]
    assert event.details == {
        "run_id": "run-1",
        "checkpoint": "nova-v1",
        "asked": 4,
        "answered": 4,
        "findings": (),
    }
    assert bench.outcomes.preflights["run-1"].answered == 4


async def test_a_checkpoint_that_says_nothing_takes_no_slot_and_can_be_started_later(bench):
    bench.model.refuse_starts = 1
    async with bench.evaluation() as evaluation:
        run = await evaluation.propose(bench.request())
        with pytest.raises(WrongState) as caught:
            await evaluation.start(run.run_id)
        assert caught.value.reason == "NOTHING_ANSWERED"
        assert bench.outcomes.runs["run-1"].state is RunState.PROPOSED
        assert bench.desk.numbers == {}
        assert bench.audit.records[-1].details["findings"] == ("no_start",)
        assert bench.outcomes.preflights["run-1"].findings == (PreflightFinding.NO_START,)
        await evaluation.start(run.run_id)
        assert (await settle(evaluation)).run.state is RunState.PUBLISHED


async def test_an_engine_that_is_gone_is_refused_before_anything_is_asked(bench):
    async with bench.evaluation() as evaluation:
        run = await evaluation.propose(bench.request())
        evaluation._runtimes.clear()
        with pytest.raises(WrongState) as caught:
            await evaluation.start(run.run_id)
    assert caught.value.reason == "NO_RUNTIME"


async def test_the_questions_alone_start_nothing_and_are_logged(bench):
    bench.model.refuse_starts = 1
    async with bench.evaluation() as evaluation:
        silent = await evaluation.preflight("nova-v1")
        answered = await evaluation.preflight("nova-v1")
    assert (silent.answered, silent.findings) == (0, (PreflightFinding.NO_START,))
    assert (answered.answered, answered.findings) == (len(QUESTIONS), ())
    assert bench.log == ["nova-v1 logged preflight"] * 2
    assert (bench.outcomes.runs, bench.desk.numbers) == ({}, {})


async def test_the_questions_are_for_a_checkpoint_that_is_staged_and_whole(bench):
    async with bench.evaluation() as evaluation:
        with pytest.raises(NotFound):
            await evaluation.preflight("nova-v9")
        bench.checkpoints.tampered = True
        with pytest.raises(IntegrityError):
            await evaluation.preflight("nova-v1")
        bench.checkpoints.checkpoint = replace(bench.checkpoints.checkpoint, state=CheckpointState.REFUSED)
        with pytest.raises(WrongState) as caught:
            await evaluation.preflight("nova-v1")
    assert caught.value.reason == "CHECKPOINT_REFUSED"
    assert bench.model.starts == 0
