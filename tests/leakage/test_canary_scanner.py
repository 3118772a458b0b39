"""The scanner finds what it is for: otherwise a clean bill would mean nothing."""

import base64
import gzip
import mmap
import os
import subprocess
import sys
from multiprocessing import shared_memory

import pytest
from canary_scanner import CanaryScanner, children_of

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
