"""What a bank tester reads of an epoch that lacks units, before and when it is opened."""

import pytest

from heldout_proto.v1 import bank_pb2

EPOCH = bank_pb2.Epoch(epoch_id="epoch-1", number=1, commitment="c" * 64, prompts=5, units=4)
SHORT = bank_pb2.Shortage(
    minimum_units=30,
    groups=[
        bank_pb2.SmallGroup(intent=bank_pb2.INTENT_BENIGN, units=0, short=30),
        bank_pb2.SmallGroup(intent=bank_pb2.INTENT_HARMFUL, category="tricks", units=29, short=1),
        bank_pb2.SmallGroup(intent=bank_pb2.INTENT_HARMFUL, category="zeal", units=36, short=1, rest=29),
    ],
)
NOTHING = bank_pb2.Shortage(
    minimum_units=30,
    groups=[bank_pb2.SmallGroup(intent=bank_pb2.INTENT_HARMFUL, units=28, short=2)],
    shows_nothing=True,
)
ROW = '{"prompt": "How do I fold a letter?", "intent": "benign", "category": "paper"}\n'


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text(ROW)
    return str(path)


def test_an_import_names_what_would_be_withheld_and_how_many_more_it_takes(heldout, file):
    heldout.appliance.answers["ImportPrompts"] = bank_pb2.ImportPromptsResponse(imported=1, shortage=SHORT)
    out = heldout("bank", "import", file)
    assert "withheld in every release of an epoch opened now, as a row needs 30 units:\n" in out
    assert "  all benign units: 0, import 30 more\n  harmful tricks: 29, import 1 more\n" in out
    assert "harmful zeal: 36, but it would leave 29 others over, too few: import 1 more of those" in " ".join(
        out.split()
    )
    assert "next: heldout bank epoch open" in out
    shortage = heldout.json("bank", "import", file)["shortage"]
    assert shortage["withheld"][1] == {"intent": "harmful", "category": "tricks", "units": 29, "short": 1, "rest": 0}


def test_an_import_does_not_send_one_to_a_command_that_will_refuse(heldout, file):
    gap = bank_pb2.EpochGap(intent=bank_pb2.INTENT_HARMFUL, change=bank_pb2.GAP_CHANGE_NEW, units=13, short=17)
    for answer, said in (
        ({"gaps": [gap], "shortage": SHORT}, "13 harmful units are new: import 17 more"),
        ({"shortage": NOTHING}, "next: import more: an epoch of these would show nothing"),
    ):
        heldout.appliance.answers["ImportPrompts"] = bank_pb2.ImportPromptsResponse(imported=1, **answer)
        out = " ".join(heldout("bank", "import", file).split())
        assert said in out
        assert "next: heldout bank epoch open" not in out


def test_an_import_says_what_came_again_and_names_a_near_row_of_the_file_by_its_line(heldout, file):
    near = bank_pb2.NearRow(line=7, handle="prompt-1", similarity_percent=91, other_line=4)
    heldout.appliance.answers["ImportPrompts"] = bank_pb2.ImportPromptsResponse(
        imported=2, spent_before=1, near=[near], near_total=1
    )
    out = " ".join(heldout("bank", "import", file).split())
    assert "1 of them was in an epoch before: what they have spent of their budget stays spent" in out
    assert "line 7: about 91 % like line 4, prompt-1" in out


def test_the_counts_and_an_opened_epoch_name_the_same(heldout):
    heldout.appliance.answers |= {
        "GetStats": bank_pb2.GetStatsResponse(
            live=29, counts=[bank_pb2.BankCount(intent=1, category="tricks", prompts=29, units=29)], shortage=SHORT
        ),
        "OpenEpoch": bank_pb2.OpenEpochResponse(epoch=EPOCH, shortage=SHORT),
    }
    for words in (["bank", "stats"], ["bank", "epoch", "open"]):
        assert "harmful tricks: 29, import 1 more" in heldout(*words)
        assert heldout.json(*words)["shortage"]["minimum_units"] == 30


def test_an_epoch_that_would_show_nothing_is_refused_with_the_way_out(heldout):
    def answer(request):
        asked = bank_pb2.OpenEpochRequest.FromString(request)
        return bank_pb2.OpenEpochResponse(epoch=None if asked.only_if_shown else EPOCH, shortage=NOTHING)

    heldout.appliance.answers["OpenEpoch"] = answer
    said = " ".join(heldout("bank", "epoch", "open", code=1).split())
    assert "28 harmful units (import 2 more); --all-withheld opens it all the same" in said
    assert "epoch 1 (epoch-1) is open" in heldout("bank", "epoch", "open", "--all-withheld")
