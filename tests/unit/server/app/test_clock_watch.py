import pytest

from heldout_server.app.clock_watch import ClockWatch

DAY_S = 86_400


class MovableClock:
    """Tell what it is told."""

    def __init__(self):
        self.wall_s, self.steady_s = 1_000_000.0, 50.0

    def now_s(self):
        return self.wall_s

    def monotonic_s(self):
        return self.steady_s

    def run(self, seconds, *, step_s=0.0):
        self.steady_s += seconds
        self.wall_s += seconds + step_s


class ListLog:
    """Keep records."""

    def __init__(self):
        self.records = []

    async def append(self, record):
        self.records.append(record)


@pytest.mark.parametrize("step_s", [DAY_S, -DAY_S, 30, -30])
async def test_a_step_of_the_wall_clock_is_in_every_log_once(step_s):
    clock, logs = MovableClock(), [ListLog(), ListLog()]
    watch = ClockWatch(clock, logs)
    clock.run(1)
    await watch.look()
    clock.run(1, step_s=step_s)
    await watch.look()
    clock.run(1)
    await watch.look()
    for log in logs:
        (record,) = log.records
        assert (record.kind, record.name, dict(record.details)) == ("event", "clock", {"step_s": step_s})


async def test_a_clock_that_is_slewed_or_a_process_that_slept_is_no_step():
    clock, log = MovableClock(), ListLog()
    watch = ClockWatch(clock, [log])
    for _ in range(60):
        clock.run(1, step_s=0.5)
        await watch.look()
    clock.run(DAY_S)
    await watch.look()
    assert log.records == []
