"""Files that are none: each is one line of refusal, quotes nothing, and reads no more than it must."""

import gzip
import io
import zipfile

import pyarrow as pa
import pytest
from pyarrow import parquet
from test_known_layouts import table_bytes

from heldout.bank_files import MAX_LINE_BYTES, ReadOptions, content, parquet_table, read_rows
from heldout.bank_files.content import decode_lines
from heldout.bank_files.csv_table import open_csv
from heldout.bank_files.fields import slug
from heldout.bank_files.options import read_category_map
from heldout.bank_model import BadRow, Intent
from heldout.errors import BankFileError

SECRET = "marzipan"
HEAD = "prompt,intent,category\n"
ROW = f"{SECRET},benign,x\n"
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


def zipped():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("prompts.csv", HEAD + ROW)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("written", "name", "said"),
    [
        ((HEAD + ROW).encode("utf-16"), "x.csv", "is UTF-16: save it as UTF-8"),
        ((HEAD + ROW).encode("utf-32"), "x.csv", "is UTF-32: save it as UTF-8"),
        ((HEAD + ROW).encode("utf-16-le"), "x.csv", "looks like UTF-16"),
        (f"{SECRET}\n".encode("utf-16-be"), "x.txt", "looks like UTF-16"),
        (f"{HEAD}é{ROW}".encode("latin-1"), "x.csv", "line 2: is not UTF-8"),
        (f"- é{SECRET}".encode("latin-1"), "x.yaml", "is not UTF-8"),
        (f"{HEAD}\x00{ROW}", "x.csv", "line 2: is binary"),
        (f"- {SECRET}\x00", "x.yaml", "is binary"),
        (zipped(), "x.csv", "is a zip archive: unpack it"),
        (b"BZh91AY", "x.csv", "is a bzip2 file"),
        ("", "x.csv", "is empty"),
        ("\n \n", "x.csv", "is empty"),
        (HEAD, "x.csv", "is empty"),
        ("# nothing\n", "x.yaml", "is empty"),
        ("[]", "x.yaml", "is empty"),
        ("[]", "x.json", "is empty"),
        (table_bytes(prompt=pa.array([], pa.string())), "x.parquet", "is empty"),
        ("prompt,text,prompt\na,b,c\n", "x.csv", "column 3 has the name of another"),
        (f'{HEAD}"{SECRET}"x,benign,x\n', "x.csv", "line 2: a quote is out of place"),
        (f'{HEAD}"{SECRET},benign,x\n', "x.csv", "line 2: a quote is out of place or not closed"),
        (f'"{SECRET}\n', "x.csv", "line 1: a quote"),
        (HEAD + f'"{SECRET * 20_000}",benign,x\n', "x.csv", "line 2: a quote .* or a field is too long"),
        (f'{HEAD}{ROW}"{SECRET}' + "x\n" * 700_000, "x.csv", "line 3: a quote is not closed|line 3: a quote is out"),
        (BOMB, "x.yaml", "line 2: has an alias"),
        ("- " + "[" * 20 + "]" * 20, "x.yaml", "nested too deeply"),
        ("[" * 5000, "x.yaml", "nested too deeply|is not YAML"),
        (f"- {SECRET}: [", "x.yaml", "is not YAML"),
        (f"- prompt: !!python/object/apply:os.system [{SECRET}]", "x.yaml", "is not YAML"),
        (f"- {{{SECRET}: 2020-99-99}}", "x.yaml", "is not YAML"),
        (f"name: {SECRET}\n", "x.yaml", "no list of rows"),
        (f"prompts: {SECRET}\n", "x.yaml", "no list of rows"),
        (SECRET, "x.yaml", "no list of rows"),
        (f"[{SECRET}", "x.json", "is not JSON"),
        ("[" * 100_000, "x.json", "is not JSON"),
        (f"{SECRET}", "x.parquet", "is not a Parquet file"),
        (f"PAR1{SECRET}PAR1", "x.parquet", "damaged Parquet"),
        (table_bytes(prompt=[SECRET] * 100)[:-40] + b"x" * 40, "x.parquet", "damaged Parquet"),
        (table_bytes(prompt=[{"a": SECRET}]), "x.parquet", "column 1 is nested"),
        (gzip.compress(f"{SECRET}\n".encode() * 100, mtime=0)[:-20], "x.txt", "truncated or damaged gzip"),
    ],
    ids=lambda value: "bytes" if isinstance(value, bytes) else None,  # archives hold the time
)
def test_a_file_that_is_none_is_one_line_and_quotes_nothing(write, written, name, said):
    path = write(written, name)
    with pytest.raises(BankFileError, match=said) as caught:
        list(read_rows(path, ReadOptions(intent=Intent.BENIGN, category="x")))
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_two_columns_of_one_name_in_parquet(write):
    sheet = io.BytesIO()
    parquet.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["prompt", "prompt"]), sheet)
    with pytest.raises(BankFileError, match="two columns have one name"):
        list(read_rows(write(sheet.getvalue(), "x.parquet")))


def test_ragged_rows_are_named_and_the_others_read(write):
    rows = list(read_rows(write(f"{HEAD}{ROW}a,benign\n{ROW}a,benign,x,y\n", "x.csv")))
    assert rows[1::2] == [BadRow(3, "ragged_row"), BadRow(5, "ragged_row")]
    assert [row.line for row in rows] == [2, 3, 4, 5]


def test_rows_of_other_kinds_are_named(write):
    assert [row.reason for row in read_rows(write('[{"prompt": 1}, 3, [], {"a": {"b": 1, "b": 2}}]', "x.json"))] == [
        "text_invalid",
        "not_object",
        "not_object",
        "duplicate_key",
    ]
    rows = list(
        read_rows(write("- prompt: a\n- {[a]: b, prompt: x}\n- [b]\n- {prompt: a, prompt: b}\n- 3\n", "x.yaml"))
    )
    assert [row.reason for row in rows] == [
        "intent_missing",
        "duplicate_key",
        "not_object",
        "duplicate_key",
        "text_invalid",
    ]


class Endless(io.RawIOBase):
    """Give one byte for ever, and count how much was asked of it."""

    given = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        buffer[:] = b"a" * len(buffer)
        self.given += len(buffer)
        return len(buffer)


def test_a_line_without_an_end_is_read_up_to_its_bound():
    endless = Endless()
    with pytest.raises(BankFileError, match="longer than"):
        list(decode_lines(io.BufferedReader(endless), "x"))
    assert endless.given < 2 * MAX_LINE_BYTES


def test_a_document_without_an_end_is_read_up_to_its_bound(monkeypatch):
    endless = Endless()
    monkeypatch.setattr(content, "MAX_DOCUMENT_BYTES", 1 << 16)
    opened = content.Content(name="x", suffix=".yaml", head=b"", file=io.BufferedReader(endless), seekable=None)
    with pytest.raises(BankFileError, match="longer than"):
        content.read_document(opened)
    assert endless.given < 1 << 18


def test_a_quote_that_is_never_closed_is_read_up_to_its_bound():
    class Lines:
        given = 0

        def readline(self, size):
            self.given += 1
            return b"prompt\n" if self.given == 1 else b'"a\n' if self.given == 2 else b"a\n" * 1

    lines = Lines()
    opened = content.Content(name="x.csv", suffix=".csv", head=b"", file=lines, seekable=None)
    _, rows = open_csv(opened)
    with pytest.raises(BankFileError, match="line 2: a quote is"):
        list(rows)
    assert lines.given < MAX_LINE_BYTES


def test_gzip_that_unpacks_to_far_more_than_it_holds_is_stopped(write):
    bomb = gzip.compress((b"a" * 1000 + b"\n") * 20_000, compresslevel=9)
    with pytest.raises(BankFileError, match="far more than a file of prompts"):
        list(read_rows(write(bomb, "x.txt.gz"), ReadOptions(intent=Intent.BENIGN, category="x")))


def test_gzip_has_an_absolute_bound_too(write, monkeypatch):
    monkeypatch.setattr(content, "RATIO_FROM_BYTES", 0)
    monkeypatch.setattr(content, "MAX_UNPACKED_BYTES", 1000)
    packed = gzip.compress("\n".join(map(str, range(1000))).encode())
    with pytest.raises(BankFileError, match="far more than a file of prompts"):
        list(read_rows(write(packed, "x.txt.gz"), ReadOptions(intent=Intent.BENIGN, category="x")))


def test_parquet_bounds(write, monkeypatch):
    data = table_bytes(prompt=["Hi"])
    monkeypatch.setattr(parquet_table, "MAX_GROUP_BYTES", 1)
    with pytest.raises(BankFileError, match="far more than a file of prompts"):
        list(read_rows(write(data, "x.parquet")))
    monkeypatch.setattr(parquet_table, "MAX_PACKED_BYTES", 1)
    with pytest.raises(BankFileError, match="too long: unpack it first"):
        list(read_rows(write(gzip.compress(data), "x.parquet.gz")))


def test_what_is_not_installed_is_said_with_how_to_get_it(write, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(BankFileError, match=r'pip install "heldout\[parquet\]"'):
        list(read_rows(write(table_bytes(prompt=["Hi"]), "x.parquet")))
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with pytest.raises(BankFileError, match=r'pip install "heldout\[yaml\]"'):
        list(read_rows(write("- a", "x.yaml")))


def test_a_category_map(write):
    path = write('"Self Harm" = "care"\nx = "y"\n', "map.toml")
    assert read_category_map(str(path)) == {"self-harm": "care", "x": "y"}
    assert read_category_map("harmbench")["malware-hacking"] == "cybercrime_intrusion"


@pytest.mark.parametrize(
    ("written", "said"), [("x = ", "is not TOML"), ('x = "Not One"', "identifier"), ("x = 3", "identifier")]
)
def test_a_category_map_that_is_none(write, written, said):
    with pytest.raises(BankFileError, match=said):
        read_category_map(str(write(written, "map.toml")))


@pytest.mark.parametrize(
    ("name", "identifier"),
    [("Sexual/Adult content", "sexual-adult-content"), ("Übel", "ubel"), ("...", ""), ("禁", ""), ("x" * 99, "x" * 64)],
)
def test_a_name_becomes_an_identifier(name, identifier):
    assert slug(name) == identifier


@pytest.mark.parametrize("name", ["README.md", "x.pdf", "x.pdf.gz", "none"])
def test_a_file_of_another_kind_is_refused_as_a_whole(write, name):
    with pytest.raises(BankFileError, match="is not of a kind that can be imported") as caught:
        list(read_rows(write(f"# {SECRET}\n", name)))
    assert SECRET not in str(caught.value)


def test_json_lines_by_another_name_are_read(write):
    row = '{"prompt": "Fold a hat", "intent": "benign", "category": "x"}\n'
    assert len(list(read_rows(write(f"\n  {row}{row}", "export.log")))) == 2
