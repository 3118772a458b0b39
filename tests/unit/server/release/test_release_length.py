"""The length of a release follows from its plan: no figure shows in it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heldout_policy.mechanism import TableKind, plan_tables
from heldout_proto.v1 import findings_pb2
from heldout_server.release import document
from heldout_server.release.document import draft_release, finish_release


class GivenNoise:
    """Publish what a test says, whatever the sums."""

    def __init__(self, figures: list[int]) -> None:
        self._figures = figures

    def add(self, values: list[int], *, sigma: float) -> list[int]:
        return [self._figures.pop() for _ in values]


def draft(house, *, techniques: int = 3):
    names = ("plain", *(f"technique-{number}" for number in range(techniques - 1)))
    run = house.propose("run-1", techniques=names, stacks=())
    tables = plan_tables(
        house.policy, release_number=1, techniques=names, stacks=(), members=house.make_members(harmful=60, benign=40)
    )
    document = draft_release(run, release_id="release-1", number=1, epoch_number=1, policy=house.policy, tables=tables)
    return document, [(table.kind, len(table.rows)) for table in tables]


def finish(document: bytes, rows, figures: list[int]) -> bytes:
    sums: dict[TableKind, list[int]] = {kind: [0] * count for kind, count in rows}
    return finish_release(document, sums=sums, noise=GivenNoise(figures), published_s=1_700_000_000)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_figure_shows_in_the_length_of_its_release(house, data):
    techniques = data.draw(st.integers(1, 64))
    document, rows = draft(house, techniques=techniques)
    figure = st.integers(-(10**9), 10**12)
    figures = data.draw(st.lists(figure, min_size=techniques + 2, max_size=techniques + 2))
    zeros = finish(document, rows, [0] * (techniques + 2))
    assert len(finish(document, rows, list(figures))) == len(zeros)


def test_a_length_that_padding_cannot_reach_is_no_release():
    """The length of the padding takes a byte more from 128 on: PADDING_BYTES stays clear of that."""
    release = findings_pb2.Release(release_id="release-1")
    with pytest.raises(AssertionError, match="not brought to its length"):
        document._pad(release, release.ByteSize() + 129)
    document._pad(release, release.ByteSize() + document.PADDING_BYTES)


def test_padding_is_zeros_and_the_figures_stand_beside_it(house):
    document, rows = draft(house)
    release = findings_pb2.Release.FromString(finish(document, rows, [7_750_000] * 5))
    assert set(release.padding) == {0}
    assert all(row.count for table in release.tables for row in table.rows)


def test_without_padding_the_length_would_tell(house):
    document, rows = draft(house)
    lengths = set()
    for figures in ([0] * 5, [-8_000_000] * 5):
        release = findings_pb2.Release.FromString(finish(document, rows, figures))
        release.ClearField("padding")
        lengths.add(release.ByteSize())
    assert len(lengths) == 2
