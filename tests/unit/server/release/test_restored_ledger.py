"""What becomes of releases that were under way when a restore closed their epoch: no noise is drawn again."""

from __future__ import annotations

import pytest
from test_publishing import only_release, run_to_its_end

from heldout_server.release import ledger


async def test_what_a_restore_closed_is_not_drawn_again(house):
    """The run that was put back may have been released already, with other noise: one more draw would tell more."""
    desk = house.open()
    await run_to_its_end(house, desk)
    await desk._database.write(lambda connection: ledger.close_epoch(connection, "epoch-1"))
    house.outcomes.verdicts.clear()
    await desk.publish("run-1")
    release = only_release(house)
    assert release.cancelled
    assert not release.tables
    assert house.noise.draws == []


async def test_what_was_drawn_before_a_restore_closed_its_epoch_is_published_as_it_was_drawn(house):
    desk = house.open()
    await run_to_its_end(house, desk)
    house.steps.crash_at = "before append"
    with pytest.raises(house.crash):
        await desk.publish("run-1")
    drawn = len(house.noise.draws)
    again = house.reopen()
    await again._database.write(lambda connection: ledger.close_epoch(connection, "epoch-1"))
    await again.carry_on()
    assert only_release(house).tables
    assert len(house.noise.draws) == drawn > 0
