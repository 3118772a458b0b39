"""``heldout bank import`` as a person runs it on a running appliance: files that are none, and ends in the middle.

Whatever goes wrong, nothing is half imported, one line says what it was, and no text of a prompt is quoted.
"""

import asyncio
import gzip
import json
import os
import subprocess
import sys

import pytest

from served_appliance import prompt_rows, until

WORD = "lighthouse"
"""Stands in every text of these files, and in no message about them."""

MANY = 30_000


MOST_KIB = 160_000
"""Of memory; what the bomb below unpacks to is 262,144."""

PEAK = """
import re, sys
from pathlib import Path
from heldout.cli import run
code = run(sys.argv[1:])
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""
"""Runs the command and prints its own peak: ``ru_maxrss`` survives exec, and would be ours where that is larger."""


def row(n, **changes):
    return {"prompt": f"How do I paint {WORD} {n}?", "intent": "benign", "category": "crafts"} | changes


def lines_of(*rows):
    return b"".join(json.dumps(one).encode() + b"\n" for one in rows)


@pytest.fixture
async def appliance(served):
    return await served.start()


async def live(served):
    """Return how many prompts are live, as the command tells it."""
    code, out, err = await served.ask("bank_tester", "--json", "bank", "stats")
    assert code == 0, err
    stats = json.loads(out)
    assert stats["waiting"] == stats["live"]
    return stats["live"]


async def refused(served, file, *, says, code=2):
    """Import a file that is none, and check that it is said in one line, and that nothing came of it."""
    told, out, err = await served.ask("bank_tester", "bank", "import", file)
    assert told == code, err
    said = out + err
    assert says in said
    assert file.name in said
    assert len(err.splitlines()) <= 1
    assert "Traceback" not in said
    assert WORD not in said


async def test_files_that_are_none_are_refused_in_one_line(appliance, tmp_path):
    good = [row(n) for n in range(5)]
    folder, missing = tmp_path / "folder.jsonl", tmp_path / "missing.jsonl"
    folder.mkdir()
    packed = gzip.compress(lines_of(*[row(n, tags=[f"t{n}"]) for n in range(500)]))
    files = {
        "empty.jsonl": (b"", "is empty"),
        "blank.jsonl": (b"\n \n\t\n", "is empty"),
        "binary.jsonl": (b"\x7fELF\x02\x01\x00\x00" + bytes(range(256)) * 40, "is binary"),
        "latin.jsonl": (lines_of(*good) + f"{WORD} caf\xe9\n".encode("latin-1"), "line 6: is not UTF-8"),
        "wide.jsonl": (lines_of(*good) + lines_of(row(6, prompt=WORD + "x" * (3 << 20))), "line 6: is longer than"),
        "cut.jsonl.gz": (packed[: len(packed) // 2], "truncated or damaged gzip"),
        "damaged.jsonl.gz": (packed[:60] + bytes(40) + packed[100:], "truncated or damaged gzip"),
    }
    for name, (content, says) in files.items():
        (tmp_path / name).write_bytes(content)
        await refused(appliance, tmp_path / name, says=says)
    await refused(appliance, missing, says="no such file")
    await refused(appliance, folder, says="is not a plain file")
    assert await live(appliance) == 0


async def test_a_gzip_bomb_is_refused_in_bounded_memory(appliance, tmp_path):
    bomb = tmp_path / "bomb.jsonl.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as file:
        for _ in range(256):
            file.write(b" " * (1 << 20))
    await refused(appliance, bomb, says="line 1: is longer than")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PEAK,
        *("bank", "import", str(bomb)),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"HELDOUT_PROFILE": str(appliance.folder / "profiles" / "bank_tester.toml")},
    )
    out, _ = await process.communicate()
    assert process.returncode == 2
    assert int(out.split()[-1]) <= MOST_KIB
    assert await live(appliance) == 0


async def test_a_bad_row_is_named_by_line_and_reason_and_nothing_is_imported(appliance, tmp_path):
    file = tmp_path / "rows.jsonl"
    rows = [row(1), row(2, intent="curious"), row(3), row(4, language="Not One!"), row(5, prompt=" ")]
    file.write_bytes(lines_of(*rows) + b"{not json " + WORD.encode() + b"}\n")

    code, out, err = await appliance.ask("bank_tester", "bank", "import", file)

    assert code == 1
    said = out + err
    for bad in (
        "line 2: intent_invalid",
        "line 4: language_invalid",
        "line 5: text_empty",
        "line 6: not_json",
    ):
        assert bad in said
    assert "nothing imported" in said
    assert WORD not in said
    assert "curious" not in said
    assert "Not One" not in said
    assert await live(appliance) == 0


async def test_skip_bad_imports_the_others_and_names_what_it_left_out(appliance, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(lines_of(row(1), row(2, intent="curious"), row(3), row(3), row(5, language="Klingon!")))

    code, out, _ = await appliance.ask("bank_tester", "--json", "bank", "import", "--skip-bad", file)

    assert code == 0
    told = json.loads(out)
    assert told["imported"] == 2
    assert told["bad"] == [{"line": 2, "reason": "intent_invalid"}, {"line": 5, "reason": "language_invalid"}]
    assert len(told["duplicates"]) == 1
    assert WORD not in out
    assert await live(appliance) == 2


async def test_what_only_the_bank_can_see_is_named_by_line_and_reason_too(appliance, tmp_path):
    file = tmp_path / "rows.jsonl"
    mixed = [row(n, intent="harmful", family="one", category=f"c{n}") for n in range(2)]
    file.write_bytes(lines_of(row(7), *mixed))
    code, out, err = await appliance.ask("bank_tester", "bank", "import", file)
    assert code == 1
    assert "line 3: family_mixes_categories" in out + err
    assert WORD not in out + err
    assert await live(appliance) == 0


async def test_duplicates_are_reported_by_handle_and_not_imported_twice(appliance, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(lines_of(row(1), row(2)))
    assert (await appliance.ask("bank_tester", "bank", "import", file))[0] == 0
    tester = await appliance.client("bank_tester")
    handles = await tester.bank.handles()

    file.write_bytes(lines_of(row(1), row(2), row(3)))
    code, out, err = await appliance.ask("bank_tester", "--json", "bank", "import", file)

    assert code == 0, err
    assert json.loads(out)["imported"] == 1
    assert sorted(json.loads(out)["duplicates"]) == sorted(handles)
    assert await live(appliance) == 3


async def test_nobody_else_may_import(appliance, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(lines_of(row(1)))
    for role in ("trainer", "run_tester", "auditor", "operator", "key_holder"):
        code, out, err = await appliance.ask(role, "bank", "import", file)
        assert code == 1, role
        assert "refused" in err
        assert WORD not in out + err
    assert await live(appliance) == 0


# Ends in the middle. The command reads its file twice: the second time while it sends.


async def begin_import(served, tmp_path):
    """Start an import of many rows, and return its process once rows have reached the bank."""
    file = tmp_path / "many.jsonl"
    file.write_bytes(lines_of(*[row(n) for n in range(MANY)]))
    process = await served.spawn_command("bank_tester", "bank", "import", file)
    bank = served.folder / "vault" / "bank.db-wal"
    # The first 10,000 rows are some MiB; the others are on their way then.
    await until(lambda: bank.stat().st_size > 2 << 20 or process.returncode is not None, 60)
    assert process.returncode is None
    return process


async def test_kill_9_of_the_client_in_the_middle_imports_nothing(appliance, tmp_path):
    process = await begin_import(appliance, tmp_path)
    process.kill()
    await process.communicate()
    assert await live(appliance) == 0
    # The bank is free again: nothing of the broken import stands in the way of the next one.
    file = tmp_path / "rows.jsonl"
    file.write_bytes(lines_of(*[row(n) for n in range(3)]))
    code, out, err = await appliance.ask("bank_tester", "bank", "import", file)
    assert code == 0, err
    assert "3 imported" in out
    assert "already" not in out
    assert await live(appliance) == 3


async def test_kill_9_of_the_appliance_in_the_middle_imports_nothing(appliance, tmp_path):
    process = await begin_import(appliance, tmp_path)
    await appliance.kill()
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert len(err.decode().splitlines()[-1:]) == 1
    assert "Traceback" not in err.decode()
    assert WORD not in (out + err).decode()
    await appliance.start()
    assert await live(appliance) == 0
    tester = await appliance.client("bank_tester")
    assert await tester.bank.handles() == ()
    report = await tester.bank.import_prompts(prompt_rows([row(n) for n in range(3)]))
    assert (report.imported, report.duplicates) == (3, ())


async def test_a_pipe_is_no_file(appliance, tmp_path):
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    await refused(appliance, pipe, says="is not a plain file")
