"""A judge in a process of its own gives the verdicts that it gives here, whatever happens to the process."""

from __future__ import annotations

import io
import sys

import pytest

from heldout_server.domain import Ending, Intent, SecretText, Verdict
from heldout_server.errors import IntegrityError, RunError
from heldout_server.judges import PatternJudge
from heldout_server.judges import apart as apart_module
from heldout_server.judges.apart import JudgeProcess
from heldout_server.judges.child import FAILED, decode_body, encode_frame, judge_frame, serve
from heldout_server.ports.judges import Case

TEXTS = (
    "I'm sorry, but I can't help with that.",
    "Sure, here is how. 1. Take the ladder. 2. Climb up slowly. 3. Hang the balloons where nobody looks.",
    "",
    "gr\u00fc\u00df dich \U0001f388 \ud800",
)
ENDS = (
    "import sys; from heldout_server.judges import child, PatternJudge as P; import os\n"
    "real = child.judge_frame\n"
    "poisoned = lambda cases: any('poison' in case[3] for case in cases)\n"
    "child.judge_frame = lambda judge, cases: os._exit(1) if poisoned(cases) else real(judge, cases)\n"
    "child.serve(P(), sys.stdin.buffer, sys.stdout.buffer)"
)
SILENT = "import sys; sys.stdin.buffer.read()"
ANOTHER = "import sys; from heldout_server.judges.child import encode_frame as e; sys.stdout.buffer.write(e('f' * 64))"


def case(text, *, intent=Intent.HARMFUL, ending=Ending.STOP):
    return Case(intent=intent, prompt=SecretText("How do I hang balloons?"), response=SecretText(text), ending=ending)


def python(code):
    return (sys.executable, "-I", "-c", code)


class Picky:
    judge_id = "picky"
    digest = PatternJudge().digest

    def judge(self, one):
        if "odd" in one.response.reveal():
            raise ZeroDivisionError
        return Verdict.REFUSED


async def test_it_gives_the_verdicts_that_the_judge_gives_here_in_their_order(monkeypatch):
    monkeypatch.setattr(apart_module, "FRAME_CHARACTERS", 60)  # several frames
    judge = PatternJudge()
    cases = [case(text, intent=intent, ending=ending) for text in TEXTS for intent in Intent for ending in Ending]
    async with JudgeProcess(judge).open() as judge_all:
        assert await judge_all(cases) == [judge.judge(one) for one in cases]
        assert await judge_all([]) == []
        assert await judge_all(cases[:1]) == [judge.judge(cases[0])]


async def test_a_text_that_ends_the_process_costs_no_other_case_its_verdict():
    judge = PatternJudge()
    cases = [case(TEXTS[0]), case("poison"), case(TEXTS[1])]
    async with JudgeProcess(judge, command=python(ENDS)).open() as judge_all:
        first, ended, last = await judge_all(cases)
        assert (first, last) == (judge.judge(cases[0]), judge.judge(cases[2]))
        assert isinstance(ended, RunError)
        assert "poison" not in str(ended)
        assert await judge_all(cases[:1]) == [first]


@pytest.mark.parametrize("command", [python(SILENT), python("pass")], ids=["silent", "ends"])
async def test_a_process_that_does_not_come_up_is_an_error_of_the_run(command):
    async with JudgeProcess(PatternJudge(), command=command, patience_s=0.3).open() as judge_all:
        with pytest.raises(RunError, match="does not start"):
            await judge_all([case("hello")])


async def test_a_process_that_cannot_be_started_is_an_error_of_the_run():
    with pytest.raises(RunError, match="does not start"):
        async with JudgeProcess(PatternJudge(), command=("/nonexistent/python",)).open():
            pytest.fail("there is no judge")


async def test_another_judge_gives_no_verdict():
    async with JudgeProcess(PatternJudge(), command=python(ANOTHER)).open() as judge_all:
        with pytest.raises(IntegrityError):
            await judge_all([case("hello")])


async def test_what_the_judge_raises_over_a_case_comes_back_as_it_is_here():
    failing = (
        "import sys; from heldout_server.judges.child import encode_frame as e, decode_body as d\n"
        f"out = sys.stdout.buffer; out.write(e('{Picky.digest}')); out.flush(); source = sys.stdin.buffer\n"
        "n = len(d(source.read(int.from_bytes(source.read(4), 'big'))))\n"
        "out.write(e([''] * n)); out.flush(); source.read()"
    )
    async with JudgeProcess(Picky(), command=python(failing)).open() as judge_all:
        fine, odd = await judge_all([case("fine"), case("odd")])
    assert fine is Verdict.REFUSED
    assert isinstance(odd, ZeroDivisionError)


def test_the_child_says_which_judge_it_is_answers_each_frame_and_ends_with_its_input():
    cases = [["harmful", "stop", "prompt", "fine"], ["harmful", "stop", "prompt", "odd"]]
    source, target = io.BytesIO(encode_frame(cases) + encode_frame([])), io.BytesIO()
    serve(Picky(), source, target)
    expected = encode_frame(Picky.digest) + encode_frame(["refused", FAILED]) + encode_frame([])
    assert target.getvalue() == expected


def test_a_frame_carries_any_text():
    assert decode_body(encode_frame(TEXTS)[4:]) == list(TEXTS)


def test_a_case_over_which_the_judge_raises_leaves_the_others_theirs():
    cases = [["harmful", "stop", "p", "odd"], ["harmful", "stop", "p", "fine"]]
    assert judge_frame(Picky(), cases) == [FAILED, "refused"]
