"""The report: what it counts, and that nothing in a log or a release can become part of the page."""

import dataclasses
import hashlib
import html.parser
import json
import math
import re

import pytest
from auditor_fakes import HOSTILE, make_auditable
from client_fakes import IDENTITY, make_exact, make_release, to_message

from heldout.cli.evidence import Log
from heldout.cli.report import Debit, Report, Use, read_report
from heldout.cli.screens.page import WIDTH, columns_of
from heldout.cli.screens.report import bits, report_page
from heldout.cli.screens.report_charts import calls_chart, ledger_chart
from heldout.cli.screens.report_html import report_html
from heldout.verification import Entry, ExportReport


@pytest.fixture
def audited(heldout):
    """Publish over two epochs, refuse something, and let something happen to the appliance."""
    make_auditable(heldout.appliance)
    vault = heldout.appliance.logs["vault"]
    heldout.appliance.publish(
        to_message(make_release("v1", number=1, epoch=3)),
        to_message(make_release("v2", number=2, epoch=3)),
        to_message(make_release("v3", number=1, epoch=4)),
    )
    said = heldout.appliance.decided | {"decision": "deny", "rules": []}
    vault.add("intent", "/heldout.v1.BankService/GetPrompt", identity=IDENTITY, role="trainer", **said)
    vault.add("event", "denials", caller=IDENTITY, reason="REFUSED", count=40, from_s=60)
    vault.add("event", "restore", database="bank", cause="old_copy")
    for number in (1, 2):
        vault.add("event", "anchor", database="releases", generation=number)
    return heldout


def test_a_page_tells_who_what_and_how_much(audited):
    out = audited("audit", "report")
    assert re.search(r"trainer +GetPrompt +1 +1 ", out)
    assert re.search(r"release-v2-2 +2 +v2 +0\.0\d\d +0\.\d\d of 8", out)
    assert re.search(r"trainer +REFUSED +40 ", out)
    assert re.search(r"restore +vault +\d+ +\S+ \S+ +bank old_copy", out)
    assert re.search(r"anchor +vault +\d+ +\S+ \S+ +releases, the last of 2", out)


def test_calls_are_counted_by_how_they_ended(audited, tmp_path):
    vault = audited.appliance.logs["vault"]
    who = {"identity": IDENTITY, "role": "trainer"}
    for status in ("OK", "WRONG_STATE", "REFUSED"):
        decision = "deny" if status == "REFUSED" else "allow"
        said = audited.appliance.decided | {"decision": decision, "rules": []}
        begun = vault.add("intent", "/heldout.v1.BankService/OpenEpoch", **who, **said)
        vault.add("outcome", "/heldout.v1.BankService/OpenEpoch", **who, intent=begun, status=status)
    file = tmp_path / "report.html"
    assert re.search(r"trainer +OpenEpoch +3 +1 +1 ", audited("audit", "report", "--html", str(file)))
    calls = [call for call in audited.json("audit", "report")["calls"] if call["method"] == "OpenEpoch"]
    assert {call["allowed"]: call["failed"] for call in calls} == {True: {"WRONG_STATE": 1}, False: {}}
    rows = [row for row in audited.csv("audit", "report") if row["subject"] == "OpenEpoch"]
    assert {row["decision"]: row["failed"] for row in rows} == {"allow": "1", "deny": "0"}
    assert "1 ended with WRONG_STATE" in file.read_text(encoding="utf-8")
    assert sum(number for _, number in audited.json("audit", "report")["hours"].values()) == 2


@pytest.mark.parametrize(
    ("first_s", "last_s", "told"),
    [(60, 61, "01-01 00:01"), (60, 3600, "01-01 00:01 to 01:00"), (60, 86_400, "01-01 to 01-02")],
)
def test_when_somebody_called_is_told_briefly(hostile, first_s, last_s, told):
    use = dataclasses.replace(hostile.uses[0], first_s=first_s, last_s=last_s)
    lines = report_page(dataclasses.replace(hostile, uses=(use,))).lines
    assert any(line.rstrip().endswith(f"  {told}") for line in lines)


def test_the_ledger_begins_anew_with_each_epoch(audited):
    releases = audited.json("audit", "report")["releases"]
    assert [release["epoch_number"] for release in releases] == [3, 3, 4]
    harmful = [release["harmful_nano_rho"] for release in releases]
    assert [release["harmful_total_nano_rho"] for release in releases] == [harmful[0], sum(harmful[:2]), harmful[2]]
    assert releases[0]["benign_nano_rho"] == 10_000_000  # the over-refusal table's
    assert bits(round(1e9 * math.log(2))) == pytest.approx(1)


def test_json_and_csv_hold_the_same(audited, tmp_path):
    folder = str(tmp_path / "export")
    audited("audit", "export", folder)
    data, rows = audited.json("audit", "report", folder), audited.csv("audit", "report", folder)
    assert {row["what"] for row in rows} >= {"calls", "release", "denials", "restore", "anchor", "start"}
    refused = [row for row in rows if row["decision"] == "deny"]
    assert [(row["subject"], row["count"], row["identity"]) for row in refused] == [("GetPrompt", "1", IDENTITY)]
    assert sum(call["calls"] for call in data["calls"]) == sum(int(r["count"]) for r in rows if r["what"] == "calls")
    assert data["denials"][0]["details"]["count"] == 40
    assert data["budget_nano_rho"] == round(8e9 * math.log(2))


class Page(html.parser.HTMLParser):
    """Take a page apart."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words, self._open = set(), [], [], []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_html_page_is_whole_and_alone(audited, tmp_path):
    file = tmp_path / "report.html"
    assert "one page that needs no network" in audited("audit", "report", "--html", str(file))
    text = file.read_text(encoding="utf-8")
    page = Page(text)
    assert not page.tags & {"script", "link", "img", "iframe", "object", "form", "a"}
    assert not {name for name, _ in page.attributes} & {"src", "href", "onload", "onclick", "style"}
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme:dark" in text
    assert "@media print" in text
    words = " ".join(page.words)
    for told in ("What was released", "release-v2-2", "REFUSED", "old_copy", IDENTITY, "every entry hashes"):
        assert told in words


def entry(name, **details):
    return Entry(index=1, kind="event", name=name, identity="", role="", time_s=60, counter=0, details=details)


@pytest.fixture
def hostile():
    """A report in which everything that comes from elsewhere tries to break out of the page."""
    found = ExportReport(
        origin=HOSTILE, size=1, root=HOSTILE, intents=0, outcomes=0, events=1, open_intents=(0,), counters={},
        releases=(), earlier_heads=0, damaged=(0,),
    )  # fmt: skip
    use = Use(
        half=HOSTILE, identity=HOSTILE, role=HOSTILE, method=HOSTILE, allowed=False, calls=1, first_s=60, last_s=60,
        first=0,
    )  # fmt: skip
    return Report(
        logs=(Log(half=HOSTILE, folder=None, vkey="", report=found),),
        uses=(use,),
        debits=(),
        unread=(entry("release", release_id=HOSTILE),),
        denials=((HOSTILE, entry("denials", caller=HOSTILE, reason=HOSTILE, count=HOSTILE)),),
        events=((HOSTILE, entry("restore", database=HOSTILE, cause="\x1b[31m")), (HOSTILE, entry(HOSTILE))),
        anchors={(HOSTILE, HOSTILE): (1, entry("anchor"))},
        replays={},
        budget_nano_rho=0,
        hours={0: (1, 1)},
    )


def test_nothing_from_a_log_becomes_part_of_the_page(hostile):
    text = report_html(hostile)
    page = Page(text)
    assert "script" not in page.tags
    assert "<script" not in text
    assert "\x1b" not in text
    assert HOSTILE in "".join(page.words)


def test_nothing_from_a_release_becomes_part_of_the_page(audited, hostile, tmp_path):
    folder = tmp_path / "export"
    audited("audit", "export", str(folder))
    told = read_report(folder, [], [])
    assert told.debits == ()
    release = make_release(HOSTILE)
    release = dataclasses.replace(release, release_id=HOSTILE, judge=HOSTILE)
    debit = Debit(
        release=release, entry=entry("release", document_sha256=HOSTILE), harmful=1, benign=1, harmful_total=1,
        benign_total=1,
    )  # fmt: skip
    page = Page(report_html(dataclasses.replace(hostile, debits=(debit,))))
    assert "script" not in page.tags


def test_a_hostile_report_leaves_the_terminal_alone(hostile):
    page = report_page(hostile)
    assert all(line.isprintable() for line in page.lines)
    json.dumps(page.data)


def test_a_release_whose_document_was_changed_is_refused(audited, tmp_path):
    folder = tmp_path / "export"
    audited("audit", "export", str(folder))
    file = min((folder / "releases").glob("*.binpb"))
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"release-v1-1", b"release-v1-2", 1))
    assert "does not verify" in audited("audit", "report", str(folder), code=1)
    file.write_bytes(b"\xff" + whole)
    assert "is not a release" in audited("audit", "report", str(folder), code=1)
    file.unlink()
    assert "1 more in the log" in audited("audit", "report", str(folder))


@pytest.mark.parametrize(
    ("hours", "unit"), [([0], "hour"), ([0, 71], "hour"), ([0, 100], "2 hours"), ([0, 9000], "8 days")]
)
def test_the_chart_of_calls_fits_any_span(hours, unit):
    drawn = calls_chart(dict.fromkeys(hours, (3, 1)))
    assert f"Calls by {unit}, at most 4;" in drawn
    assert drawn.count("<rect") == 2 * len(hours)
    assert all(-1 <= float(x) <= 901 for x in re.findall(r' x="([^"]+)"', drawn))


def test_no_calls_and_no_releases_draw_nothing():
    assert calls_chart({}) == ""
    assert ledger_chart((), 8) == ""


def test_policy_digests_are_those_of_the_documents(audited, tmp_path):
    folder = tmp_path / "export"
    audited("audit", "export", str(folder))
    names = {file.stem: file for file in (folder / "policy").iterdir()}
    assert len(names) == 3
    assert all(hashlib.sha256(file.read_bytes()).hexdigest() == stem for stem, file in names.items())


@pytest.fixture
def unprotected(heldout):
    """Publish with noise, and then without."""
    make_auditable(heldout.appliance)
    heldout.appliance.publish(to_message(make_release("v1")), to_message(make_exact("v2", number=2)))
    return heldout


def test_a_report_of_exact_releases_warns_and_names_no_bits_that_would_bound_them(unprotected):
    """What a release without noise costs is no 0.000 bits."""
    out = unprotected("audit", "report")
    assert "! exact profile: no noise." in out
    assert re.search(r"release-v1-1 +1 +v1 +0\.\d{3} +0\.\d\d of 8 ", out)
    assert re.search(r"release-v2-2 +2 +v2 +up to 9 +up to 10 ", out)
    assert all(columns_of(line) <= WIDTH for line in out.splitlines())
    data = unprotected.json("audit", "report")
    assert data["profile"] == "exact"
    assert data["bits_of_one_unit_at_most"] == 9
    assert "no noise" in data["warning"]
    assert [one["exact_rows"] for one in data["releases"]] == [0, 9]
    rows = unprotected.csv("audit", "report")
    assert {"release", "release without noise"} <= {row["what"] for row in rows}


def test_the_html_page_of_exact_releases_warns_and_draws_no_ledger_of_them(unprotected, tmp_path):
    page = tmp_path / "report.html"
    unprotected("audit", "report", "--html", str(page))
    written = page.read_text()
    assert "! exact profile: no noise." in written
    assert "no noise: up to 9" in written
    assert "0.000" not in written
    assert ">release 1<" in written  # the end of the chart
    assert ">release 2<" not in written


def test_the_page_of_noised_releases_carries_no_warning(audited, tmp_path):
    page = tmp_path / "report.html"
    assert "exact profile" not in audited("audit", "report", "--html", str(page))
    assert "exact profile" not in page.read_text()


def test_a_report_says_what_a_look_alike_pair_pays(audited):
    """It pays the tables of both sides, which is what the trainer's budget counts."""
    last = audited.json("audit", "report")["releases"][-1]
    both = bits(last["harmful_total_nano_rho"] + last["benign_total_nano_rho"])
    assert f"a look-alike pair pays both: {both:.2f} so far" in " ".join(audited("audit", "report").split())
