"""Figures without noise are shown with their warning on every page, and never as anything else."""

import dataclasses
import json

import pytest
from client_fakes import make_exact, make_release, to_message

from heldout.cli.screens.atoms import atoms_page
from heldout.cli.screens.budget import budget_page
from heldout.cli.screens.compare import comparison_page
from heldout.cli.screens.findings import release_page
from heldout.cli.screens.page import WIDTH, columns_of
from heldout.cli.screens.trend import trend_page
from heldout.cli.screens.weights import weights_page
from heldout.errors import UnknownAnswer
from heldout.findings import Budget, LineQuota, Profile, build_trend, compare_releases
from heldout.findings.documents import release_from
from heldout.findings.model import AtomCertificate
from heldout_proto.v1 import evaluation_pb2, findings_pb2

BUDGET = Budget(
    epoch_id="epoch-3",
    releases_used=2,
    releases_total=6,
    releases_payable=4,
    harmful_spent_nano_rho=0,
    benign_spent_nano_rho=0,
    budget_nano_rho=0,
    policy_digest="a" * 64,
    lines=(LineQuota(line="nova-pro", used=0, total=4), LineQuota(line="nova-lite", used=2, total=2)),
    anchors_used=1,
    anchors_total=2,
    profile=Profile.EXACT,
)


def pages():
    first, second = make_exact("v1"), make_exact("v2", number=2)
    trend = build_trend("nova-lite", [first, second], [])
    yield release_page(first)
    yield comparison_page(compare_releases(first, second))
    yield trend_page(trend, benchmark="swe-bench", budget=BUDGET)
    yield weights_page("folder", digest="1" * 64, about=[first], adapters=[], of=2)
    yield budget_page(BUDGET)
    yield atoms_page([first, second], AtomCertificate(minimum=30, sets=(), atoms=()), minimum=30)


@pytest.mark.parametrize("page", list(pages()))
def test_every_page_warns_and_says_so_in_json_too(page):
    text = "\n".join(page.lines)
    assert "! exact profile: " in text
    assert all(columns_of(line) <= WIDTH for line in page.lines), page.lines
    assert page.data["profile"] == "exact"
    assert "noise" in page.data["warning"]
    json.dumps(page.data)


@pytest.mark.parametrize("profile", list(Profile))
def test_a_run_warns_whoever_approves_it_and_so_does_the_list(heldout, profile):
    run = evaluation_pb2.Run(
        run_id="run-1",
        state=evaluation_pb2.RUN_STATE_PROPOSED,
        tested=findings_pb2.TestedSystem(checkpoint="v1", line="nova", trust=findings_pb2.TRUST_CLASS_CONTAINED),
        techniques=["plain"],
        profile=findings_pb2.Profile.Value(f"PROFILE_{profile.name}"),
    )
    heldout.appliance.answers |= {
        "GetRun": evaluation_pb2.GetRunResponse(run=run),
        "ListRuns": evaluation_pb2.ListRunsResponse(runs=[run]),
    }
    for page in (heldout("run", "show", "run-1"), heldout("run", "list")):
        assert ("! exact profile: " in page) is (profile is Profile.EXACT)
    shown = heldout.json("run", "show", "run-1")
    assert (shown["profile"], shown["warning"] is None) == (profile.value, profile is Profile.PRIVATE)


def test_the_warning_counts_a_bit_for_each_row_that_is_shown():
    """Seven techniques, non-answers and over-refusal."""
    page = release_page(make_exact("v1"))
    assert page.data["bits_of_one_unit_at_most"] == 9
    assert "the 9 rows here tell up to 9 bits of one" in " ".join(line.strip() for line in page.lines)


def test_the_budget_states_no_claim_where_there_is_none():
    text = "\n".join(budget_page(BUDGET).lines)
    assert "yes/no question" not in text
    assert "rho" not in text
    assert "reserve" not in text
    assert "nova-lite" in text
    assert "2 of 2 used: none left in this epoch" in text


def test_private_figures_carry_no_such_warning():
    page = release_page(make_release("v1"))
    assert "exact profile" not in "\n".join(page.lines)
    assert (page.data["profile"], page.data["warning"], page.data["bits_of_one_unit_at_most"]) == (
        "private",
        None,
        None,
    )


@pytest.mark.parametrize("release", [make_exact("v1"), make_release("v1")])
def test_a_release_is_read_only_as_what_its_tables_are(release):
    assert release_from(to_message(release)) == release
    other = Profile.PRIVATE if release.profile is Profile.EXACT else Profile.EXACT
    with pytest.raises(UnknownAnswer, match="its tables are not"):
        release_from(to_message(dataclasses.replace(release, profile=other)))
