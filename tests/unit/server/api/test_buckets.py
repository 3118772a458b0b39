from hypothesis import given
from hypothesis import strategies as st

from heldout_server.api.limits import Buckets
from heldout_server.config.limits import Rate


class SteadyClock:
    """Tell what it is told."""

    def __init__(self):
        self.steady_s = 0.0

    def monotonic_s(self):
        return self.steady_s


def test_a_full_bucket_gives_its_burst_and_then_says_how_long_to_wait():
    clock = SteadyClock()
    buckets = Buckets(clock)
    rate = Rate(per_s=2, burst=3)
    assert [buckets.take("a", rate) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.take("b", rate) == 0.0  # another's bucket is its own
    clock.steady_s = 0.5
    assert [buckets.take("a", rate) for _ in range(2)] == [0.0, 0.5]


def test_a_bucket_never_holds_more_than_its_burst():
    clock = SteadyClock()
    buckets = Buckets(clock)
    rate = Rate(per_s=10, burst=2)
    assert buckets.take("a", rate) == 0.0
    clock.steady_s = 1e6
    assert [buckets.take("a", rate) > 0 for _ in range(3)] == [False, False, True]


@given(
    st.lists(st.floats(min_value=0, max_value=5), max_size=200),
    st.floats(min_value=0.1, max_value=50),
    st.integers(min_value=1, max_value=20),
)
def test_no_stretch_of_time_sees_more_than_the_burst_and_what_the_rate_gives(pauses, per_s, burst):
    clock = SteadyClock()
    buckets = Buckets(clock)
    taken = []
    for pause in pauses:
        clock.steady_s += pause
        if not buckets.take("a", Rate(per_s=per_s, burst=burst)):
            taken.append(clock.steady_s)
    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + (taken[last] - begin) * per_s + 1e-6
