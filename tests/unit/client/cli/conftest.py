"""The command, run against the appliance in memory."""

import csv
import io
import json

import pytest
from client_fakes import TECHNIQUES, make_card, make_release, to_message
from profile_files import install_profile

from heldout.cli import run
from heldout_proto.v1 import findings_pb2

CARDS = findings_pb2.ListCardsResponse(cards=[make_card(one) for one in ("base64", "persona")])


class Command:
    """Run the command against the appliance in memory."""

    def __init__(self, appliance, profile, capsys):
        self.appliance = appliance
        self.profile = profile
        self._capsys = capsys
        self.notes = ""
        self.pauses = []

    def __call__(self, *arguments, code=0, profile=True):
        options = ["--profile", str(self.profile)] if profile else []
        got = run(
            [*options, *arguments],
            connector=lambda _profile: self.appliance.blocking_client(),
            pause=self.pauses.append,
        )
        out, err = self._capsys.readouterr()
        assert got == code, (got, out, err)
        assert "Traceback" not in out + err
        if code:
            assert err.count("\n") <= 1
        else:
            assert all(line.startswith("note: ") for line in err.splitlines())
        self.notes = err
        if not {"--json", "--csv", "--help", "policy"} & set(arguments):
            assert all(len(line) <= 80 for line in out.split("\n"))
        return out if code == 0 else out + err

    def json(self, *arguments):
        return json.loads(self(*arguments, "--json"))

    def csv(self, *arguments):
        return list(csv.DictReader(io.StringIO(self(*arguments, "--csv"))))


@pytest.fixture
def heldout(appliance, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("HELDOUT_PROFILE", raising=False)
    monkeypatch.delenv("HELDOUT_TRACEBACK", raising=False)
    return Command(appliance, install_profile(tmp_path) / "profiles" / "me.toml", capsys)


@pytest.fixture
def published(heldout):
    """Publish four checkpoints of one line."""
    heldout.appliance.publish(
        *(
            to_message(make_release(f"v{n}", dict.fromkeys(TECHNIQUES, rate), number=n))
            for n, rate in enumerate((0.38, 0.25, 0.35, 0.35), start=1)
        )
    )
    scores = [
        findings_pb2.Score(
            checkpoint="v1", kind=findings_pb2.SCORE_KIND_CAPABILITY, benchmark="swe-bench", value_milli=41_000
        )
    ]
    heldout.appliance.answers |= {
        "ListScores": findings_pb2.ListScoresResponse(scores=scores),
        "GetBudget": findings_pb2.GetBudgetResponse(
            budget=findings_pb2.Budget(
                epoch_id="epoch-3", releases_used=4, releases_total=25, budget_nano_rho=5_545_177_444
            )
        ),
        "ListCards": CARDS,
        "RecordScore": findings_pb2.RecordScoreResponse(),
    }
    return heldout
