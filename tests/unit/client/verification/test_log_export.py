"""A log written to a folder, and everything that its check must notice."""

from __future__ import annotations

import pytest

from heldout.errors import HeldoutClientError, VerificationError
from heldout.verification.export import verify_export
from heldout.verification.log_folder import LogExport, read_checkpoint, read_entries
from heldout.verification.merkle import leaf_hash, root_of
from heldout.verification.tiles import TileCutter, cut_bundle, tile_path

TRAINER = "spiffe://heldout.example/trainer"


def export(log, folder, *, checkpoint=None):
    writer = LogExport(folder)
    writer.add(log.leaves[:3])
    writer.add(log.leaves[3:])
    writer.finish(log.checkpoint() if checkpoint is None else checkpoint)
    return folder


def fill(log, calls):
    """Log calls of two identities, a release, and one call that is still open."""
    for number in range(1, calls + 1):
        log.outcome(log.intent(number))
        log.outcome(log.intent(number, identity=TRAINER, role="trainer"), identity=TRAINER, role="trainer")
    log.add(name="release", release_id="rel-1")
    log.intent(calls + 1)


def test_a_whole_log_is_reported(log, tmp_path):
    fill(log, 5)
    report = verify_export(export(log, tmp_path / "log"), log.vkey)
    assert (report.origin, report.size, report.root) == ("lab/vault", 22, root_of(map(leaf_hash, log.leaves)).hex())
    assert (report.intents, report.outcomes, report.events, report.open_intents) == (11, 10, 1, (21,))
    assert report.counters == {"spiffe://heldout.example/bank-tester": 6, TRAINER: 5}
    assert [release.details["release_id"] for release in report.releases] == ["rel-1"]
    assert report.earlier_heads == 0


def test_an_empty_log_is_whole(log, tmp_path):
    report = verify_export(export(log, tmp_path / "log"), log.vkey, earlier=[log.checkpoint()])
    assert (report.size, report.releases, report.counters, report.earlier_heads) == (0, (), {}, 1)
    assert [file.name for file in (tmp_path / "log").iterdir()] == ["checkpoint"]


def test_an_export_reads_back(log, tmp_path):
    fill(log, 200)
    folder = export(log, tmp_path / "log")
    assert read_checkpoint(folder) == log.checkpoint()
    assert list(read_entries(folder, size=len(log.leaves))) == log.leaves
    assert list(read_entries(folder, size=300)) == log.leaves[:300]  # from the full bundle


def test_a_log_of_several_tiles_lies_in_the_layout_of_tlog_tiles(log, tmp_path):
    for _ in range(600):
        log.add()
    folder = export(log, tmp_path / "log")
    files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    assert files == [
        "checkpoint",
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/88",
        "tile/1/000.p/2",
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002.p/88",
    ]
    assert (folder / "tile/0/000").read_bytes() == b"".join(map(leaf_hash, log.leaves[:256]))
    second = root_of(map(leaf_hash, log.leaves[256:512]))
    assert (folder / "tile/1/000.p/2").read_bytes()[32:] == second
    assert verify_export(folder, log.vkey, earlier=[log.checkpoint(size) for size in (1, 255, 256, 257, 512, 599)])


def test_a_tree_of_256_leaves_has_a_full_tile_and_a_partial_one_above(log):
    cutter, full = TileCutter(), []
    for _ in range(256):
        log.add()
        full += cutter.add(log.leaves[-1])
    assert [tile.path for tile in full] == ["tile/entries/000", "tile/0/000"]
    assert [tile.path for tile in cutter.rest()] == ["tile/1/000.p/1"]
    assert cutter.root() == root_of(map(leaf_hash, log.leaves)) == cutter.rest()[0].content


def test_a_full_tile_of_level_1_is_cut_at_65536_leaves():
    cutter, paths = TileCutter(), []
    for _ in range(256 * 256):
        paths += [tile.path for tile in cutter.add(b"")]
    assert paths[-3:] == ["tile/entries/255", "tile/0/255", "tile/1/000"]
    assert [tile.path for tile in cutter.rest()] == ["tile/2/000.p/1"]
    assert cutter.root() == cutter.rest()[0].content


@pytest.mark.parametrize(
    ("number", "width", "path"),
    [
        (0, 256, "tile/0/000"),
        (999, 256, "tile/0/999"),
        (1000, 256, "tile/0/x001/000"),
        (1234067, 256, "tile/0/x001/x234/067"),
        (1234067, 8, "tile/0/x001/x234/067.p/8"),
    ],
)
def test_tile_paths_are_in_groups_of_three_digits(number, width, path):
    assert tile_path(0, number, width) == path


@pytest.mark.parametrize("size", [1, 2, 3, 7, 22])
def test_an_earlier_head_is_continued(log, tmp_path, size):
    fill(log, 5)
    earlier = [log.checkpoint(size), log.checkpoint(0)]
    assert verify_export(export(log, tmp_path / "log"), log.vkey, earlier=earlier).earlier_heads == 2


@pytest.mark.parametrize("size", [1, 3, 22])
def test_a_fork_is_noticed_against_an_earlier_head(log, tmp_path, size):
    fill(log, 5)
    earlier = log.checkpoint(size)
    log.leaves[0] = log.leaves[0].replace(b'"allow"', b'"deny"')
    with pytest.raises(VerificationError, match=f"first {size} entries"):
        verify_export(export(log, tmp_path / "log"), log.vkey, earlier=[earlier])


def test_a_log_that_shrank_is_noticed(log, tmp_path):
    fill(log, 5)
    earlier = log.checkpoint()
    log.leaves.pop()
    with pytest.raises(VerificationError, match="shrunk"):
        verify_export(export(log, tmp_path / "log"), log.vkey, earlier=[earlier])


def test_a_head_under_another_key_is_refused(log, tmp_path):
    folder = export(log, tmp_path / "log")
    log.origin = "lab/other"
    with pytest.raises(VerificationError):
        verify_export(folder, log.vkey)


@pytest.mark.parametrize("size", [40, 300])
def test_every_changed_byte_of_a_file_is_noticed(log, tmp_path, size):
    for _ in range(size):
        log.add()
    folder = export(log, tmp_path / "log")
    for file in folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            for place in (0, len(content) // 2, len(content) - 1):
                changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
                file.write_bytes(changed)
                with pytest.raises(VerificationError):
                    verify_export(folder, log.vkey)
            for changed in (content + b"\x00", content[:-1], b""):
                file.write_bytes(changed)
                with pytest.raises(VerificationError):
                    verify_export(folder, log.vkey)
            file.unlink()
            with pytest.raises(VerificationError):
                verify_export(folder, log.vkey)
            file.write_bytes(content)
    assert verify_export(folder, log.vkey).size == size


def test_a_partial_tile_may_give_way_to_the_full_one(log, tmp_path):
    for _ in range(300):
        log.add()
    folder, small = export(log, tmp_path / "log"), log.checkpoint(40)
    (folder / "checkpoint").write_text(small)
    assert verify_export(folder, log.vkey).size == 40
    changed = bytearray((folder / "tile/0/000").read_bytes())
    changed[39 * 32] ^= 1
    (folder / "tile/0/000").write_bytes(changed)
    with pytest.raises(VerificationError, match="tile/0/000"):
        verify_export(folder, log.vkey)


def refused(log, folder, match):
    with pytest.raises(VerificationError, match=match):
        verify_export(export(log, folder), log.vkey)


@pytest.mark.parametrize("counters", [(2,), (0,), (1, 3), (1, 1), (1, 2, 1)])
def test_a_gap_or_a_repetition_in_the_counter_is_noticed(log, tmp_path, counters):
    for counter in counters:
        log.intent(counter)
    refused(log, tmp_path / "log", "comes next")


def test_an_outcome_without_an_open_intent_before_it_is_noticed(log, tmp_path):
    cases = {
        "none": lambda: log.add("outcome", "/a/B", status="OK"),
        "later": lambda: log.outcome(1),
        "itself": lambda: log.outcome(0),
        "word": lambda: log.outcome("0"),
        "list": lambda: log.outcome(["0"]),
        "event": lambda: (log.add(), log.outcome(0)),
        "twice": lambda: (log.intent(1), log.outcome(0), log.outcome(0)),
    }
    for name, write in cases.items():
        log.leaves.clear()
        write()
        refused(log, tmp_path / name, "open intent")


@pytest.mark.parametrize("changes", [{"identity": TRAINER}, {"name": "/a/B"}, {"role": "trainer"}])
def test_an_outcome_of_another_call_is_noticed(log, tmp_path, changes):
    log.outcome(log.intent(1), **changes)
    refused(log, tmp_path / "log", "another call")


def test_a_leaf_that_is_no_entry_is_noticed(log, tmp_path):
    log.leaves.append(b"text")
    refused(log, tmp_path / "log", "entry 0")


def test_an_export_goes_into_an_empty_folder_only(log, tmp_path):
    (tmp_path / "something").touch()
    with pytest.raises(HeldoutClientError):
        LogExport(tmp_path)


def test_a_leaf_of_uint16_length_is_the_longest(tmp_path):
    writer = LogExport(tmp_path / "log")
    writer.add([bytes(65_535)])
    with pytest.raises(VerificationError, match="65535"):
        writer.add([bytes(65_536)])


def test_a_checkpoint_that_is_not_text_is_refused(log, tmp_path):
    folder = export(log, tmp_path / "log")
    (folder / "checkpoint").write_bytes(b"\xff")
    with pytest.raises(VerificationError):
        read_checkpoint(folder)


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x02a", b"\x00\x01a"])
def test_a_bundle_that_ends_too_early_is_refused(data):
    with pytest.raises(VerificationError):
        cut_bundle(data, width=2)
