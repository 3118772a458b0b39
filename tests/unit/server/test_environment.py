import re
import time

from heldout_server.environment import RandomIds, SystemClock
from heldout_server.ports.environment import Clock, Ids


def test_the_clock_tells_unix_time_and_time_that_never_goes_back():
    clock: Clock = SystemClock()
    assert abs(clock.now_s() - time.time()) < 5
    assert clock.monotonic_s() <= clock.monotonic_s()


def test_names_have_their_prefix_and_64_random_bits():
    ids: Ids = RandomIds()
    names = {ids.new("run") for _ in range(1000)}
    assert len(names) == 1000
    assert all(re.fullmatch(r"run-[0-9a-f]{16}", name) for name in names)
