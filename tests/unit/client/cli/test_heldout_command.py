"""The command: findings, exit codes, one line for whatever goes wrong."""

import io
import json
import os
import re
import subprocess
import sys

import pytest
from client_fakes import make_release, to_message

from heldout import errors
from heldout.cli import progress, run, session
from heldout.cli.app import explain
from heldout.cli.screens.page import Page
from heldout_proto.v1 import findings_pb2

# Findings


def test_findings_show_the_newest_release_or_the_one_that_is_named(published):
    assert "nova-lite v4 · release 4 ·" in published("findings")
    assert "nova-lite v2 · release 2 ·" in published("findings", "v2")
    assert "nova-lite v2 · release 2 ·" in published("findings", "release-v2-2")
    assert published.json("findings", "v2")["tested"]["checkpoint"] == "v2"
    rows = published.csv("findings", "v2")
    assert rows[0]["key"] == "overall"
    assert float(rows[0]["rate"]) == pytest.approx(0.25, abs=0.01)


def test_json_may_stand_before_the_command_too(published):
    out = published("--json", "budget")
    assert json.loads(out)["releases_used"] == 4


def test_json_and_csv_do_not_go_together(published):
    assert published("budget", "--json", "--csv", code=2) == "heldout: --json and --csv do not go together\n"


def test_a_name_that_is_nearly_right_gets_a_hint(published):
    assert "did you mean v2" in published("findings", "v22", code=1)
    assert "there is: v1, v2, v3, v4" in published("findings", "other", code=1)
    assert "did you mean persona?" in published("techniques", "show", "person", code=1)
    assert "did you mean nova-lite?" in published("trend", "nova-lit", code=1)


def test_compare_and_trend(published):
    assert "Overall worse" in published("compare", "v2", "v3")
    assert published.json("compare", "v2", "v3")["overall"]["verdict"] == "worse"
    assert published.csv("compare", "v2", "v3")[0]["verdict"] == "worse"
    assert "4 of 25 releases used" in published("trend")
    assert [row["verdict"] for row in published.csv("trend", "nova-lite")] == [
        "",
        "better",
        "worse",
        "no change beyond",
    ]
    assert published.json("trend")["points"][0]["capability"] == {"swe-bench": 41.0}
    assert "SWE-bench" in published("trend", "--benchmark", "SWE-Bench")
    assert "SWE-bench" not in published("trend", "--benchmark", "ours")
    assert "has a capability score of ours; there is: swe-bench" in published.notes


def test_a_checkpoint_tested_twice_is_held_against_itself_the_earlier_first(published):
    assert "v1 was tested once only" in published("compare", "v1", "v1", code=1)
    twice = [make_release(name, number=number) for number, name in enumerate(("v1", "v2", "v1"), start=1)]
    published.appliance.publish(*map(to_message, twice))
    for pair in (("v1", "v1"), ("v1#1", "v1#3")):
        shown = published.json("compare", *pair)
        assert (shown["before"]["release_id"], shown["after"]["release_id"]) == ("release-v1-1", "release-v1-3")
    assert published.json("findings", "v1#1")["release_id"] == "release-v1-1"
    assert published.json("findings", "v1")["release_id"] == "release-v1-3"


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"attempts": 2}, "v1#1 and v1#2 were measured with another number of attempts (1 and 2)"),
        ({"epoch": 4}, "v1#3.1 and v1#4.2 were measured with other prompts (bank epoch 3 and 4)"),
    ],
)
def test_a_checkpoint_tested_twice_that_cannot_be_held_against_itself_says_why(published, second, said):
    twice = [make_release("v1", number=1), make_release("v1", number=2, **second)]
    published.appliance.publish(*map(to_message, twice))
    assert said in published("compare", "v1", "v1", code=1)


def test_a_trend_without_a_budget_and_with_two_lines(published):
    published.appliance.answers["GetBudget"] = errors.NotFound("there is no such thing", reason="NOT_FOUND")
    assert "releases used" not in published("trend")
    published.appliance.publish(to_message(make_release("v1")), to_message(make_release("b1", line="nova-big")))
    assert "which line? nova-lite, nova-big" in published("trend", code=2)


def test_the_command_tells_its_version(heldout):
    assert re.fullmatch(r"heldout \d+\.\d+\.\d+\n", heldout("--version"))


def test_a_long_error_is_broken_between_words_on_a_terminal_alone(tmp_path, monkeypatch, capsys):
    gone = tmp_path / "a-folder-that-is-not-there-and-has-a-long-name" / "trainer.toml"
    assert run(["--profile", str(gone), "findings"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert run(["--profile", str(gone), "findings"]) == 2
    broken = capsys.readouterr().err.splitlines()
    assert " ".join(one.strip() for one in broken) == line
    assert all(len(one) <= 80 or " " not in one.strip() for one in broken)
    assert len(broken) > 1


def test_nothing_is_published_yet(heldout):
    heldout.appliance.publish()
    heldout.appliance.answers["ListScores"] = findings_pb2.ListScoresResponse()
    heldout.appliance.answers["GetBudget"] = errors.NotFound("none", reason="NOT_FOUND")
    for command in (("findings",), ("trend",), ("compare", "a", "b")):
        assert "nothing is published yet" in heldout(*command, code=1)


def test_other_prompts_are_not_compared(published):
    published.appliance.publish(to_message(make_release("v1")), to_message(make_release("v2", epoch=4)))
    assert "other prompts" in published("compare", "v1", "v2", code=1)


def test_a_checkpoint_that_was_tested_again_is_compared_where_it_can_be(published):
    published.appliance.publish(
        to_message(make_release("v1")),
        to_message(make_release("v2", number=2)),
        to_message(make_release("v2", epoch=4, number=3)),
    )
    assert published.json("compare", "v1", "v2")["after"]["release_id"] == "release-v2-2"
    assert "other prompts" in published("compare", "release-v1-1", "release-v2-3", code=1)


def test_techniques(published):
    assert "base64" in published("techniques", "list")
    out = published("techniques", "show", "base64+persona")
    assert "Base64" in out
    assert "Persona" in out
    assert published.json("techniques", "list")[0]["technique"] == "base64"
    assert published.json("techniques", "show", "persona")["technique"] == "persona"
    stack = published.json("techniques", "show", "base64+persona")
    assert [card["technique"] for card in stack] == ["base64", "persona"]


def test_scores(published):
    out = published("scores", "record", "v1", "--benchmark", "swe-bench", "--value", "41.25")
    assert out == "recorded: v1 swe-bench 41.25 · receipt verified\n"
    assert published.notes == ""
    (request,) = (body for method, body in published.appliance.calls if method.endswith("/RecordScore"))
    assert findings_pb2.RecordScoreRequest.FromString(request).score.value_milli == 41_250
    published("scores", "record", "v1", "--benchmark", "x", "--value", "1", "--kind", "internal-safety", "--json")
    assert published.csv("scores", "list")[0]["value"] == "41.0"
    assert published.json("scores", "list")[0]["benchmark"] == "swe-bench"


def sent_scores(published):
    bodies = [body for method, body in published.appliance.calls if method.endswith("/RecordScore")]
    return [findings_pb2.RecordScoreRequest.FromString(body) for body in bodies]


def test_a_benchmark_is_taken_as_the_screens_write_it(published):
    published("scores", "record", "v1", "--benchmark", "SWE-bench", "--value", "41")
    assert [sent.score.benchmark for sent in sent_scores(published)] == ["swe-bench"]


def test_a_score_is_taken_back_if_there_is_one(published):
    out = published("scores", "remove", "v1", "--benchmark", "SWE-bench")
    assert out == "removed: v1 swe-bench · receipt verified\n"
    (sent,) = sent_scores(published)
    assert (sent.remove, sent.score.checkpoint, sent.score.benchmark) == (True, "v1", "swe-bench")
    for other in (("v9",), ("v1", "--kind", "internal-safety")):
        assert "heldout scores list" in published("scores", "remove", *other, "--benchmark", "swe-bench", code=1)
    assert len(sent_scores(published)) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("scores record Nova-lite-v3 --benchmark x --value 1", "CHECKPOINT: Nova-lite-v3 is not a name: 1 to 64"),
        ("scores record v3 --benchmark a/b --value 1", "--benchmark: a/b is not a name"),
        ("run propose V3", "did you mean v3?"),
        ("run propose v3 --technique plain --technique Base64", "--technique: Base64 is not a name"),
        ("run propose v3 --technique plain --stack base64+Fiction", "--stack: Fiction is not a name"),
        ("run propose v3 --technique plain --technique plain", "--technique plain is named twice"),
        ("run propose v3 --attempts 0", "--attempts"),
        ("run show Run-1", "RUN_ID: Run-1 is not a name"),
        ("bank list --category Tricks", "--category: Tricks is not a name"),
        ("cards show Persona", "did you mean persona?"),
    ],
)
def test_a_malformed_name_is_said_by_its_option_and_rule_before_anything_is_sent(published, words, said):
    assert said in published(*words.split(), code=2)
    assert published.appliance.calls == []


def test_a_score_of_a_checkpoint_that_was_never_released_is_recorded_with_a_note(published):
    record = ("scores", "record", "v22", "--benchmark", "swe-bench", "--value", "41")
    assert published(*record).startswith("recorded: v22 swe-bench 41")
    assert published.notes == "note: nothing is published about v22 yet; did you mean v2?\n"
    assert published.json(*record)["released"] is False
    published.appliance.publish()
    published(*record)
    assert published.notes == "note: nothing is published about v22 yet\n"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errors.NotFound("none", reason="NOT_FOUND"), "heldout: nothing to show yet: no epoch is open\n"),
        (
            errors.Refused("no", reason="REFUSED"),
            (
                "refused: nothing to show yet (no epoch is open), or not for this certificate. "
                "The refusal is in the log.\n"
            ),
        ),
    ],
)
def test_a_budget_before_the_first_epoch_says_only_what_can_be_known(published, error, said):
    published.appliance.answers["GetBudget"] = error
    assert published("budget", code=1) == said
    assert "releases used" not in published("trend")


def test_a_budget_shows_the_head_that_its_receipt_was_under(published):
    out = published("budget")
    window = published.appliance.logs["window"]
    size = len(window.leaves)
    assert f"receipt verified · log lab/window {size} · root " in out
    note = published.json("budget")["log_head"]
    assert note == window.checkpoint()
    assert "log_head" not in published.csv("budget")[0]


def test_no_receipt_no_head(appliance):
    with appliance.blocking_client() as client:
        assert client.findings.receipt_head() is None


def test_an_older_release_of_a_checkpoint_is_named_and_can_be_read(published):
    published.appliance.publish(
        to_message(make_release("v1")),
        to_message(make_release("v1", number=2)),
    )
    assert "release-v1-2 · release 1 about it: release-v1-1" in published("findings", "v1")
    assert "release-v1-1 · release 2 about it: release-v1-2" in published("findings", "release-v1-1")
    assert [point["release_id"] for point in published.json("trend")["points"]] == ["release-v1-1", "release-v1-2"]


@pytest.mark.parametrize(
    ("path", "rates"),
    [
        ("findings", True),
        ("compare", True),
        ("trend", True),
        ("results", True),
        ("budget", False),
        ("checkpoints", False),
    ],
)
def test_help_speaks_of_rates_only_where_there_are_some(heldout, path, rates):
    assert ("rates are 0 to 1" in heldout(path, "--help", profile=False)) is rates


@pytest.mark.parametrize(
    "value", ["many", "41.2345", "nan", "inf", "-1", "100.001", "445", "1e9", "1e999999", "1e999999999"]
)
def test_a_score_must_be_per_cent(published, value):
    out = published("scores", "record", "v1", "--benchmark", "x", f"--value={value}", code=2)
    assert out.startswith("heldout: --value")


def test_a_score_must_be_of_a_known_kind(published):
    assert "--kind" in published("scores", "record", "v", "--benchmark", "x", "--value", "1", "--kind", "y", code=2)


# What goes wrong


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (errors.Refused("not for you.", reason="REFUSED"), "refused: not for you.", 1),
        (errors.VerificationError("no receipt"), "heldout: does not verify: no receipt", 1),
        (errors.Unavailable("nobody", reason="UNREACHABLE"), "heldout: nobody", 1),
        (errors.ProfileError("me.toml: bad"), "heldout: me.toml: bad", 2),
        (errors.BankFileError("x: bad"), "heldout: x: bad", 2),
        (OSError(28, "No space left on device", "x"), "heldout: x: No space left on device", 1),
        (OSError("odd"), "heldout: a file: OSError", 1),
        (KeyError("k"), "heldout: failed inside (KeyError); HELDOUT_TRACEBACK=1 shows where", 1),
    ],
)
def test_every_error_is_one_line(error, line, code):
    assert explain(error) == (line, code)


def test_a_refusal_is_exit_code_1(heldout):
    heldout.appliance.answers["GetPrompt"] = errors.Refused("The refusal is in the log.", reason="REFUSED")
    assert heldout("bank", "show", "17", code=1) == "refused: The refusal is in the log.\n"


def test_an_answer_that_does_not_verify_is_exit_code_1(published):
    published.appliance.logs["window"].leaves.clear()
    published.appliance.alter = lambda answer: type(answer)(answer.body, None)
    assert published("budget", code=1).startswith("heldout: does not verify: ")


def test_an_unforeseen_error_is_one_line_unless_asked_for(heldout, monkeypatch):
    heldout.appliance.answers["GetBudget"] = RuntimeError("surprise")
    assert "failed inside (RuntimeError)" in heldout("budget", code=1)
    monkeypatch.setenv("HELDOUT_TRACEBACK", "1")
    with pytest.raises(RuntimeError, match="surprise"):
        heldout("budget")


def test_an_interrupt_is_exit_code_130_and_one_line(heldout, capsys):
    def connector(_profile):
        raise KeyboardInterrupt

    assert run(["--profile", str(heldout.profile), "budget"], connector=connector) == 130
    assert capsys.readouterr().err == "heldout: interrupted\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frobnicate"], "No such command"),
        (["compare", "v1"], "Missing argument"),
        (["audit", "tail", "-n", "0"], "-n"),
        (["findings", "--frobnicate"], "No such option"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(heldout, arguments, said):
    out = heldout(*arguments, code=2)
    assert out.startswith("heldout: ")
    assert said in out


def test_no_profile_and_no_such_profile_are_exit_code_2(heldout, tmp_path, monkeypatch):
    assert "HELDOUT_PROFILE" in heldout("budget", profile=False, code=2)
    monkeypatch.setenv("HELDOUT_PROFILE", str(tmp_path / "none.toml"))
    assert "no such file" in heldout("budget", profile=False, code=2)


def test_the_profile_may_come_from_the_environment(published, monkeypatch):
    monkeypatch.setenv("HELDOUT_PROFILE", str(published.profile))
    assert "releases" in published("budget", profile=False)


@pytest.mark.parametrize(
    "path",
    [
        (),
        *(
            tuple(name.split())
            for name in (
                "findings", "compare", "trend", "budget", "results", "checkpoints", "techniques list",
                "techniques show", "scores record", "scores remove", "scores list",
                "bank import", "bank stats", "bank show",
                "bank list", "bank retire",
                "bank duplicates", "bank seal", "bank pack-key", "bank epoch open",
                "run propose", "run approve", "run start",
                "run watch", "run cancel", "run list", "run show", "audit tail", "audit verify", "audit export",
                "audit show", "audit policy",
            )
        ),
    ],
    ids=lambda path: " ".join(path) or "heldout",
)  # fmt: skip
def test_every_command_has_help_with_an_example(heldout, path):
    assert "Example" in heldout(*path, "--help", profile=False)


# The process

HEAVY = ("grpc", "google.protobuf", "cryptography", "asyncio")


def start(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", "from heldout.cli import main; main()", *arguments],
        capture_output=True,
        check=False,
        env={**os.environ, **environment},
        timeout=60,
    )


def test_the_process_exits_with_one_line_and_no_traceback():
    done = start("--profile", "/nonexistent.toml", "budget")
    assert done.returncode == 2
    assert done.stderr.decode().startswith("heldout: the profile: no such file")
    assert done.stderr.count(b"\n") == 1


def test_a_terminal_without_unicode_gets_question_marks():
    done = start("--help", PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def test_help_imports_nothing_heavy():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; from heldout.cli import run; run(['--help']); print(sorted({{*sys.modules}} & {set(HEAVY)}))",
        ],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.decode().rstrip().endswith("[]")


# A terminal


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")

    def begin():  # in the test itself: capturing takes the streams back after the set-up
        made = Terminal()
        monkeypatch.setattr(sys, "stdout", made)
        monkeypatch.setattr(sys, "stderr", made)
        return made

    return begin


PAGE = Page(lines=("persona  +12.2 [+5, +19]  worse", "[bold]x[/bold]"), data=None)


def test_a_terminal_gets_colour_and_the_same_words(terminal):
    screen = terminal()
    session.Session().show(PAGE)
    shown = screen.getvalue()
    assert "\x1b[1;31mworse\x1b[0m" in shown
    assert "[bold]x[/bold]" in shown


def test_no_color_is_honoured(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    screen = terminal()
    session.Session().show(PAGE)
    assert "\x1b[" not in screen.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert "worse" in screen.getvalue()


def test_a_terminal_gets_a_progress_bar(terminal):
    screen = terminal()
    with progress.progress_bar("importing", 400, unit="trials") as report:
        report(200)
        report(400)
    assert "importing" in screen.getvalue()
    assert "400/400" in screen.getvalue()


def test_whoever_has_read_enough_is_no_error(monkeypatch, tmp_path):
    with (tmp_path / "closed").open("w") as stream:

        def broken(_profile):
            raise BrokenPipeError

        monkeypatch.setattr(sys, "stdout", stream)
        profile = tmp_path / "profile"
        monkeypatch.setattr(session, "read_profile", lambda path: path)
        assert run(["--profile", str(profile), "budget"], connector=broken) == 0
