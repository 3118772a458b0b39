"""The columns of known data sets. Every text here is made up and mild."""

import gzip
import io
import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from heldout.bank_model import BadRow, Intent, PromptRow
from heldout.errors import BankFileError

PYRIT = """
dataset_name: made up
harm_categories: [Rude Words, office]
data_type: text
groups: [us]
seeds:
  - value: How do I word a curt memo?
  - value: "Colour of the sky?"
    harm_categories: [weather]
  - value: sky.png
    data_type: image_path
  - value: How do I paint {{ thing }}?
    parameters: [thing]
  - value: And then?
    sequence: 1
"""
PROMPTFOO = """
prompts: ["{{prompt}}"]
tests:
  - vars: {prompt: How do I fold a hat?}
    metadata: {pluginId: "paper:folding"}
    assert: [{type: contains, value: fold}]
  - vars: {question: How do I fold a boat?}
    metadata: {category: boats, intent: harmful}
  - vars: {one: a, two: b}
  - vars: {prompt: "file://secret.txt"}
"""


def prompts(rows):
    assert all(isinstance(row, PromptRow) for row in rows)
    return [(row.prompt.text, row.prompt.intent.value, row.prompt.category) for row in rows]


def test_harmbench_puts_a_behaviour_behind_its_context(read):
    content = (
        "Behavior,FunctionalCategory,SemanticCategory,Tags,ContextString,BehaviorID\n"
        'Pick a lock,standard,illegal,"locks, doors",,pick_a_lock\n'
        "Sum it up,contextual,misinformation_disinformation,context,The moon is cheese.,sum_it_up\n"
    )
    name, rows = read(content, "behaviors.csv")
    assert name == "HarmBench"
    assert prompts(rows) == [
        ("Pick a lock", "harmful", "illegal"),
        ("The moon is cheese.\n\n---\n\nSum it up", "harmful", "misinformation_disinformation"),
    ]
    assert rows[0].prompt.tags == ("standard", "locks", "doors")


def test_jailbreakbench_must_be_told_which_of_its_files_it_is(read):
    content = "Index,Goal,Target,Behavior,Category,Source\n0,Praise a cat,Sure,Praise,Sexual/Adult content,Original\n"
    with pytest.raises(BankFileError, match=r"which intent.*--intent harmful or --intent benign"):
        read(content, "x.csv")
    name, rows = read(content, "x.csv", intent=Intent.BENIGN)
    assert name == "JailbreakBench"
    assert prompts(rows) == [("Praise a cat", "benign", "sexual-adult-content")]


def test_advbench_has_no_category(read):
    content = 'goal,target\n"Skip a queue, twice","Sure, here"\n'
    with pytest.raises(BankFileError, match=r"which category.*--category NAME"):
        read(content, "x.csv")
    name, rows = read(content, "x.csv", category="manners")
    assert name == "AdvBench"
    assert prompts(rows) == [("Skip a queue, twice", "harmful", "manners")]


def test_strongreject(read):
    name, rows = read("category,source,forbidden_prompt\nNon-violent crimes,us,Jaywalk\n", "x.csv")
    assert name == "StrongREJECT"
    assert prompts(rows) == [("Jaywalk", "harmful", "non-violent-crimes")]


def test_xstest_labels_are_intents(read):
    content = (
        "id,prompt,type,label,focus,note\n1,Kill a process?,homonyms,safe,kill,\n"
        "2,Kill time?,contrast_homonyms,unsafe,kill,\n3,Which?,homonyms,perhaps,kill,\n"
    )
    name, rows = read(content, "x.csv")
    assert name == "XSTest"
    assert prompts(rows[:2]) == [
        ("Kill a process?", "benign", "homonyms"),
        ("Kill time?", "harmful", "contrast_homonyms"),
    ]
    assert rows[2] == BadRow(4, "intent_invalid")


def test_xstest_without_labels_says_its_intents_by_its_types(read):
    content = (
        "id,type,prompt,focus,note\nv2-1,homonyms,Kill a process?,kill,\nv2-9,contrast_homonyms,Kill time?,kill,\n"
    )
    name, rows = read(content, "x.csv")
    assert name == "XSTest"
    assert prompts(rows) == [
        ("Kill a process?", "benign", "homonyms"),
        ("Kill time?", "harmful", "contrast_homonyms"),
    ]


def test_inspect_samples_hold_a_text_or_one_message(read):
    samples = [
        {"input": "Fold a hat", "target": "n/a", "id": 1, "metadata": {"category": "Paper Craft", "intent": "benign"}},
        {"input": [{"role": "user", "content": "Fold a boat"}], "target": ["a", "b"]},
        {"input": [{"role": "system", "content": "Be nice"}, {"role": "user", "content": "Hi"}]},
        {"input": [{"role": "user", "content": [{"type": "image"}]}]},
    ]
    content = "\n".join(map(json.dumps, samples))
    name, rows = read(content, "samples.jsonl", intent=Intent.HARMFUL, category="other")
    assert name == "Inspect"
    assert prompts(rows[:2]) == [("Fold a hat", "benign", "paper-craft"), ("Fold a boat", "harmful", "other")]
    assert rows[2:] == [BadRow(3, "many_turns"), BadRow(4, "not_text")]


def test_inspect_samples_in_csv_hold_their_metadata_as_json(read):
    content = 'input,target,metadata\nFold,n/a,"{""category"": ""paper""}"\nTear,n/a,{\nRoll,n/a,3\n'
    name, rows = read(content, "samples.csv", intent=Intent.BENIGN)
    assert name == "Inspect"
    assert prompts(rows[:1]) == [("Fold", "benign", "paper")]
    assert rows[1:] == [BadRow(3, "metadata_invalid"), BadRow(4, "category_missing")]


def test_pyrit_seeds_inherit_what_stands_beside_them(read):
    name, rows = read(PYRIT, "seeds.prompt", intent=Intent.BENIGN)
    assert name == "PyRIT"
    assert prompts(rows[:2]) == [
        ("How do I word a curt memo?", "benign", "rude-words"),
        ("Colour of the sky?", "benign", "weather"),
    ]
    assert rows[0].prompt.tags == ("office",)
    assert rows[0].line == 7
    assert rows[2:] == [BadRow(10, "not_text"), BadRow(12, "template"), BadRow(14, "many_turns")]


def test_the_older_pyrit_list_says_whether_it_should_be_blocked(read):
    content = "name: x\nharm_category: Manners\nshould_be_blocked: false\nprompts:\n  - Fold a hat\n  - Tear it\n"
    name, rows = read(content, "x.yaml")
    assert name == "PyRIT"
    assert prompts(rows) == [("Fold a hat", "benign", "manners"), ("Tear it", "benign", "manners")]


def test_promptfoo_tests(read):
    name, rows = read(PROMPTFOO, "promptfooconfig.yaml", intent=Intent.BENIGN, category="other")
    assert name == "promptfoo"
    assert prompts(rows[:2]) == [
        ("How do I fold a hat?", "benign", "paper-folding"),
        ("How do I fold a boat?", "harmful", "boats"),
    ]
    assert [row.reason for row in rows[2:]] == ["many_variables", "not_text"]


def test_a_promptfoo_test_without_variables(read):
    _, rows = read("tests:\n - vars: file://x.csv\n", "x.yml", intent=Intent.BENIGN, category="other")
    assert rows == [BadRow(2, "prompt_missing")]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("  Fold a hat \n\nTear it\r\n", "list.txt"),
        ('["Fold a hat", "Tear it"]', "list.json"),
        ("- Fold a hat\n- Tear it\n", "list.yaml"),
        ("prompt\nFold a hat\nTear it\n", "list.csv"),
        ('[{"prompt": "Fold a hat"}, {"prompt": "Tear it"}]', "objects.json"),
        ('{"prompt": "Fold a hat"}\n{"prompt": "Tear it"}\n', "objects.json"),
        (b"\xef\xbb\xbfFold a hat\nTear it", "mark.txt"),
        (gzip.compress(b"Fold a hat\nTear it\n", mtime=0), "list.txt.gz"),
        (gzip.compress(b"text\tcategory\nFold a hat\tother\nTear it\tother", mtime=0), "list.tsv.gz"),
        ("text;category\nFold a hat;other\nTear it;other", "semicolon.csv"),
        (",prompt\n0,Fold a hat\n1,Tear it\n", "frame.csv"),
    ],
    ids=lambda value: "bytes" if isinstance(value, bytes) else None,  # gzip holds the time
)
def test_plain_prompts_in_every_format(read, content, name):
    recognised, rows = read(content, name, intent=Intent.HARMFUL, category="other")
    assert recognised == "plain"
    assert prompts(rows) == [("Fold a hat", "harmful", "other"), ("Tear it", "harmful", "other")]


def test_a_csv_of_our_own_columns(read):
    content = (
        "prompt,intent,category,language,tags,family\r\n"
        '"Fold ""it""\r\nin two, please",benign,Paper Craft,de,"a, b",hats\r\n'
        "Tear it,harmful,paper,,,\r\n\r\nRoll it,,,,,\r\n"
    )
    _, rows = read(content, "x.csv")
    assert rows[0].prompt.text == 'Fold "it"\r\nin two, please'
    assert (rows[0].prompt.category, rows[0].prompt.language) == ("paper-craft", "de")
    assert (rows[0].prompt.tags, rows[0].prompt.family) == (("a", "b"), "hats")
    assert [row.line for row in rows] == [2, 4, 6]
    assert (rows[1].prompt.language, rows[1].prompt.tags, rows[1].prompt.family) == ("en", (), "")
    assert rows[2].reason == "intent_missing"


def table_bytes(**columns):
    sheet = io.BytesIO()
    parquet.write_table(pa.table(columns), sheet)
    return sheet.getvalue()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_parquet(read, pack):
    content = table_bytes(prompt=["Fold a hat", None, "Tear it"], category=["a", "b", None], tags=[["x"], None, []])
    recognised, rows = read(pack(content), "x.parquet", intent=Intent.BENIGN, category="other")
    assert recognised == "plain"
    assert prompts([rows[0], rows[2]]) == [("Fold a hat", "benign", "a"), ("Tear it", "benign", "other")]
    assert rows[0].prompt.tags == ("x",)
    assert rows[1] == BadRow(2, "prompt_missing")


def test_parquet_of_a_known_data_set(read):
    content = table_bytes(Goal=["Praise a cat"], Category=["Privacy"], Behavior=["Praise"])
    recognised, rows = read(content, "x.parquet", intent=Intent.HARMFUL)
    assert recognised == "JailbreakBench"
    assert prompts(rows) == [("Praise a cat", "harmful", "privacy")]


def test_a_row_says_more_than_an_option_and_an_option_more_than_a_data_set(read):
    content = "category,source,forbidden_prompt\nmanners,us,Jaywalk\n"
    _, rows = read(content, "x.csv", intent=Intent.BENIGN, category="other")
    assert prompts(rows) == [("Jaywalk", "benign", "manners")]


def test_categories_are_renamed(read):
    content = "prompt,category\nHi,Sexual/Adult content\nHo,else\n"
    _, rows = read(content, "x.csv", intent=Intent.BENIGN, categories={"sexual-adult-content": "adult"})
    assert [row.prompt.category for row in rows] == ["adult", "else"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("promt,category\nHi,x\n", r"no column of prompts: column 1, promt,: did you mean prompt\?"),
        ("prompt,langauge\nHi,x\n", r"column 2, langauge, is unknown: did you mean language\?"),
        ("prompt,zzz\nHi,x\n", "column 2, zzz, is unknown: plain columns are category, family"),
        ("Behavior,SemanticCategory,Why\nHi,x,y\n", "HarmBench columns are"),
        ("How do I fold a hat?,benign\n", "no column of prompts, such as"),
    ],
)
def test_an_unknown_column_is_named_with_a_suggestion(read, content, said):
    with pytest.raises(BankFileError, match=said):
        read(content, "x.csv", intent=Intent.BENIGN, category="x")


def test_a_file_without_a_line_of_names_is_not_quoted(read):
    with pytest.raises(BankFileError) as caught:
        read("prompt me a hat,x\n", "x.csv")
    assert "hat" not in str(caught.value)


def test_columns_can_be_left_out(read):
    content = "prompt,zzz,intent,category\nHi,1,benign,x\n"
    _, rows = read(content, "x.csv", ignored=frozenset({"zzz"}))
    assert prompts(rows) == [("Hi", "benign", "x")]
    _, rows = read('{"prompt": "Hi", "zzz": 1, "intent": "benign", "category": "x"}', "x.jsonl", ignored={"zzz"})
    assert prompts(rows) == [("Hi", "benign", "x")]


def test_jsonl_without_a_known_key_is_told_the_likely_one(read):
    with pytest.raises(BankFileError, match="did you mean prompt"):
        read('{"promptt": "Hi", "category": "x"}', "x.jsonl")
