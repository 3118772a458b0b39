"""Importing what people have, near duplicates, and sealed packs, against the appliance in memory."""

import pytest

from heldout.packs import format_key, is_pack
from heldout_proto.v1 import bank_pb2

KEY = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")  # RFC 7748 section 6.1, Bob
XSTEST = "id,prompt,type,label\n1,Fold a hat?,homonyms,safe\n2,Tear it?,homonyms,unsafe\n"


@pytest.fixture
def bank(heldout):
    heldout.appliance.answers |= {
        "ImportPrompts": bank_pb2.ImportPromptsResponse(
            imported=2,
            near=[bank_pb2.NearRow(line=n, handle=f"p-{n}", similarity_percent=90) for n in range(1, 7)],
            near_total=8,
        ),
        "ListDuplicates": bank_pb2.ListDuplicatesResponse(
            pairs=[bank_pb2.NearPair(first="p-1", second="p-2", similarity_percent=88)], total=3
        ),
        "GetPackKey": bank_pb2.GetPackKeyResponse(public_key=KEY),
    }
    return heldout


@pytest.fixture
def write(tmp_path):
    def written(content, name="x.csv"):
        path = tmp_path / name
        path.write_text(content)
        return str(path)

    return written


def pin(command, key=KEY):
    with command.profile.open("a") as profile:
        profile.write(f'\n[bank]\npack_key = "{format_key(key)}"\n')


def test_an_import_says_what_it_recognised_and_what_is_near(bank, write):
    out = bank("bank", "import", write(XSTEST))
    assert out.startswith("x.csv · XSTest columns recognised\n2 imported\n")
    assert "8 near duplicates of prompts in the bank: heldout bank duplicates\n" in out
    assert "  line 5: about 90 % like p-5\n  and 3 more\n" in out
    assert bank.json("bank", "import", write(XSTEST))["near"][0] == {
        "line": 1, "handle": "p-1", "similarity_percent": 90, "other_line": None,
    }  # fmt: skip


def test_options_say_what_the_file_does_not(bank, write):
    file = write("prompt,kind\nFold a hat,x\n")
    assert "column 2, kind, is unknown" in bank("bank", "import", file, code=2)
    assert "which intent?" in bank("bank", "import", file, "--ignore-column", "kind", code=2)
    options = ("--ignore-column", "kind", "--intent", "benign")
    assert "which category?" in bank("bank", "import", file, *options, code=2)
    bank("bank", "import", file, *options, "--category", "paper")
    name, body = bank.appliance.calls[-1]
    assert name.endswith("ImportPrompts")
    assert b"paper" in (body if isinstance(body, bytes) else b"".join(body))


def test_options_that_are_none_are_refused(bank, write):
    file = write("prompt\nFold a hat\n")
    assert "--intent is harmful or benign" in bank("bank", "import", file, "--intent", "bad", code=2)
    assert "such as self-harm" in bank("bank", "import", file, "--category", "Self Harm", code=2)
    assert "no such file" in bank("bank", "import", file, "--category-map", "none.toml", code=2)


def test_rows_without_an_intent_are_told_the_option(bank, write):
    out = bank("bank", "import", write('{"prompt": "Hi", "category": "x"}', "x.jsonl"), code=1)
    assert "line 1: intent_missing\nrows without an intent: pass --intent harmful or --intent benign\n" in out


def test_categories_are_renamed(bank, write):
    names = write('"homonyms" = "words"\n', "map.toml")
    bank("bank", "import", write(XSTEST), "--category-map", names)
    _, body = bank.appliance.calls[-1]
    assert b"words" in (body if isinstance(body, bytes) else b"".join(body))


def test_duplicates(bank):
    out = bank("bank", "duplicates")
    assert out.startswith("near duplicates among live prompts: 3\n")
    assert "88 %" in out
    assert "and 2 more" in out
    assert bank.json("bank", "duplicates")["pairs"] == [{"first": "p-1", "second": "p-2", "similarity_percent": 88}]
    bank.appliance.answers["ListDuplicates"] = bank_pb2.ListDuplicatesResponse()
    assert bank("bank", "duplicates").startswith("near duplicates among live prompts: 0\n")


def test_the_pack_key_is_checked_against_the_profile(bank):
    assert "your profile pins none" in bank("bank", "pack-key")
    pin(bank)
    assert bank("bank", "pack-key").startswith(f"{format_key(KEY)}\nfingerprint ")
    bank.appliance.answers["GetPackKey"] = bank_pb2.GetPackKeyResponse(public_key=bytes(32))
    assert "another pack key than your profile pins" in bank("bank", "pack-key", code=1)


def test_a_file_is_sealed_and_sent_as_it_is(bank, write, tmp_path):
    out = bank("bank", "seal", "--to", format_key(KEY), write(XSTEST), profile=False)
    assert "x.sealed: 2 prompts sealed" in out
    assert bank.appliance.calls == []
    pack = tmp_path / "x.sealed"
    assert is_pack(pack)
    assert b"Fold" not in pack.read_bytes()
    assert "2 imported" in bank("bank", "import", str(pack))
    assert "says everything itself" in bank("bank", "import", str(pack), "--intent", "benign", code=2)
    assert "is there already" in bank("bank", "seal", "--to", format_key(KEY), write(XSTEST), code=2)
    bank.appliance.answers["ImportPrompts"] = bank_pb2.ImportPromptsResponse(bad=[bank_pb2.BadRow(line=1, reason="x")])
    assert "line 1: x" in bank("bank", "import", str(pack), code=1)


def test_a_bad_row_leaves_no_pack(bank, write, tmp_path):
    pin(bank)
    file = write(XSTEST + "3,,homonyms,safe\n")
    assert "x.csv: nothing sealed, nothing sent" in bank("bank", "seal", file, code=1)
    assert not (tmp_path / "x.sealed").exists()
    assert "is empty" in bank("bank", "seal", write("", "e.csv"), code=2)
    assert not (tmp_path / "e.sealed").exists()
    assert "2 prompts sealed · 1 left out" in bank("bank", "seal", "--skip-bad", file, "--out", str(tmp_path / "y"))


def test_sealing_needs_a_key(bank, write):
    file = write(XSTEST)
    assert "to which appliance?" in bank("bank", "seal", file, profile=False, code=2)
    assert "the profile pins no pack key" in bank("bank", "seal", file, code=2)
    assert "--to is no pack key, or was mistyped" in bank("bank", "seal", "--to", "key", file, code=2)


@pytest.mark.parametrize("section", ["bank = 3", "[bank]\nother = 3", '[bank]\npack_key = "x"', "[bank]\npack_key = 3"])
def test_a_profile_whose_pack_key_is_none_is_refused(bank, section):
    text = bank.profile.read_text()
    bank.profile.write_text(f"{section}\n{text}" if section.startswith("bank") else f"{text}\n{section}\n")
    assert "pack_key" in bank("bank", "stats", code=2)
