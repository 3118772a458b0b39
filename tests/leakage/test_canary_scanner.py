"""The scanner finds what it is for: otherwise a clean bill would mean nothing."""

import base64
import gzip
import io
import mmap
import os
import sqlite3
import subprocess
import sys
import tarfile
import zlib
from multiprocessing import shared_memory

import pytest
from canary_scanner import CanaryScanner, children_of, core_files
from recorded_channel import Told

WORD = "quokkafjordzephyr"

SPELLINGS = {
    "plain": lambda text: text.encode(),
    "upper case": lambda text: text.upper().encode(),
    "reversed": lambda text: text[::-1].encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()),
    "hex": lambda text: text.encode().hex().encode(),
    "upper-case hex": lambda text: text.encode().hex().upper().encode(),
    "UTF-16, little end first": lambda text: text.encode("utf-16-le"),
    "UTF-16, big end first": lambda text: text.encode("utf-16-be"),
    "percent": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()).encode(),
    "zlib": lambda text: zlib.compress(text.encode()),
    "zlib of base64": lambda text: zlib.compress(base64.b64encode(text.encode()), 9),
    "gzip": lambda text: gzip.compress(text.encode()),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "How do I say ", "Ünïcödé "])
@pytest.mark.parametrize("after", ["", "z", " to my brother?"])
def test_it_finds_a_word_in_every_spelling_wherever_it_stands(spelling, before, after):
    content = SPELLINGS[spelling](before + WORD + after)
    assert CanaryScanner("anotherwordthatisnt", WORD).find("here", os.urandom(64), content)


def test_it_finds_nothing_where_nothing_is():
    noise = (os.urandom(1 << 20), b"quokka fjord zephyr", gzip.compress(b"x" * 999))
    assert CanaryScanner(WORD).find("here", *noise) == []


def test_it_reads_files_their_names_and_what_is_below(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "dump").write_bytes(b"\0\1" + WORD.encode())
    (tmp_path / f"core-{WORD}").touch()
    found = {finding.place for finding in CanaryScanner(WORD).find_in_files(tmp_path)}
    assert found == {"a/b/dump", f"core-{WORD}"}
    assert CanaryScanner(WORD).find_in_files(tmp_path / "a", without=[tmp_path / "a" / "b"]) == []


def test_it_reads_arguments_environment_and_open_files_that_were_deleted(tmp_path):
    scanner = CanaryScanner(WORD, "wombatglacierember")
    script = (
        "import os, sys, tempfile; f = tempfile.TemporaryFile(); f.write(sys.stdin.readline().encode()); f.flush();"
        " print('ready', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, WORD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"SOME": base64.b64encode(b"of " + WORD.encode()).decode(), "TMPDIR": str(tmp_path)},
    )
    try:
        process.stdin.write("wombatglacierember\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        found = scanner.find_in_process(process.pid)
        assert process.pid in children_of(os.getpid())
    finally:
        process.communicate()
    places = {finding.place.split(" ")[0]: finding.word for finding in found}
    assert places == {"environ": WORD, "cmdline": WORD, "open": "wombatglacierember"}


HOLDER = """
import base64, os, sys, threading
text = sys.stdin.readline().strip()
kept = [base64.b64encode(text.encode()), bytearray(40_000_000)]
del text
print("ready", flush=True)
sys.stdin.read()
"""


def test_it_reads_the_memory_of_a_process():
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdin.write(f"how do I hide the {WORD}?\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        found, searched = CanaryScanner(WORD, "wombatglacierember").find_in_memory(process.pid)
        process.stdin.close()
    assert searched > 40_000_000
    assert {finding.word for finding in found} == {WORD}
    assert "base64" in {finding.spelling.split(" ")[0] for finding in found}


def test_it_reads_shared_memory():
    block = shared_memory.SharedMemory(create=True, size=4096)
    try:
        assert CanaryScanner(WORD).find_in_shared_memory() == []
        block.buf[100 : 100 + len(WORD)] = WORD[::-1].encode()
        (finding,) = CanaryScanner(WORD).find_in_shared_memory()
    finally:
        block.close()
        block.unlink()
    assert finding.spelling == "reversed"


def test_it_reads_the_names_of_threads_and_of_what_is_mapped(tmp_path):
    path = tmp_path / f"{WORD}.bin"
    path.write_bytes(bytes(4096))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0):
        found = CanaryScanner(WORD).find_in_process(os.getpid())
    assert "maps" in {finding.place.split(" ")[0] for finding in found}


def told_with(**changes):
    told = {"status": "OK", "details": "", "bodies": (b"a",), "initial": (), "trailing": (("k", b"v"),)}
    return Told(**told | changes)


@pytest.mark.parametrize(
    "change",
    [
        {"details": f"no such thing as the {WORD}"},
        {"bodies": (b"", f"\x0a\x20the {WORD}".encode())},
        {"initial": (("x-note", WORD[::-1]),)},
        {"trailing": (("grpc-status-details-bin", base64.b64encode(b"of " + WORD.encode())),)},
        {"trailing": ((f"x-{WORD}", "1"),)},
    ],
)
def test_it_reads_all_that_a_caller_is_told(change):
    assert CanaryScanner(WORD).find("told", *told_with().contents()) == []
    assert CanaryScanner(WORD).find("told", *told_with(**change).contents())


@pytest.mark.parametrize(
    "line",
    [
        f'{{"event": "call_failed", "detail": "{WORD}"}}',
        f'{{"event": "metric", "metric": "heldout.calls", "status": "{WORD.upper()}"}}',
        f"ValueError: not a number: {WORD.encode().hex()}",
        f"span {base64.b64encode(b'ask ' + WORD.encode() + b'.').decode()} took 3 ms",
    ],
)
def test_it_reads_log_lines_metrics_traces_and_tracebacks(line):
    assert CanaryScanner(WORD).find("stdout and stderr", f"fine\n{line}\nfine\n")


def test_it_reads_databases_that_are_not_sealed_and_what_lies_beside_them(tmp_path):
    """What was written last stands in the WAL alone, and later in the database."""
    connection = sqlite3.connect(tmp_path / "open.db", isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE kept (text)")
        connection.execute("INSERT INTO kept VALUES (?)", (f"How do I hide the {WORD}?",))
        assert {finding.place for finding in CanaryScanner(WORD).find_in_files(tmp_path)} == {"open.db-wal"}
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert {finding.place for finding in CanaryScanner(WORD).find_in_files(tmp_path)} == {"open.db"}
    finally:
        connection.close()


def test_it_reads_backups(tmp_path):
    content = f"How do I hide the {WORD}?".encode()
    with tarfile.open(tmp_path / "backup.tar.gz", "w:gz") as backup:
        member = tarfile.TarInfo("bank.jsonl")
        member.size = len(content)
        backup.addfile(member, io.BytesIO(content))
    (finding,) = CanaryScanner(WORD).find_in_files(tmp_path)
    assert finding.place == "backup.tar.gz, compressed"


def test_it_finds_core_files(tmp_path):
    assert core_files(tmp_path) == []
    (tmp_path / "core.17").write_bytes(WORD.encode())
    assert core_files(tmp_path) == [tmp_path / "core.17"]
