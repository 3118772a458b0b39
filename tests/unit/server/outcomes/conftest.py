"""A key ring, ids, a clock and manifests for the tests of the outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from heldout_server.domain import Manifest, Sampling, TrustClass
from heldout_server.outcomes import SqlOutcomes
from key_ring_fakes import OneSecretKeyRing, RandomIds


class HandClock:
    """Stand still until it is set."""

    def __init__(self) -> None:
        self.time_s = 1_700_000_000.9

    def now_s(self) -> float:
        return self.time_s

    def monotonic_s(self) -> float:
        return self.time_s


def manifest(**changes) -> Manifest:
    values = {
        "checkpoint": "step-100",
        "checkpoint_digest": "c" * 64,
        "line": "small",
        "epoch_id": "epoch-1",
        "epoch_commitment": "e" * 64,
        "techniques": ("plain", "base64", "fiction"),
        "stacks": (("base64", "fiction"),),
        "judge": "patterns",
        "judge_digest": "f" * 64,
        "policy_digest": "d" * 64,
        "runtime": "scripted",
        "trust": TrustClass.CONTAINED,
        "sampling": Sampling(temperature=0.5, seed=7),
    }
    return Manifest(**(values | changes))


@pytest.fixture
def keys() -> OneSecretKeyRing:
    return OneSecretKeyRing()


@pytest.fixture
def other_keys() -> OneSecretKeyRing:
    return OneSecretKeyRing(b"another root")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outcomes.db"


@pytest.fixture
def open_outcomes(path: Path, keys: OneSecretKeyRing, clock: HandClock) -> Iterator[Callable[..., SqlOutcomes]]:
    """Open the outcomes of the test, or another file or with other parts, and close them in the end."""
    opened = []

    def open_it(where: Path = path, **parts) -> SqlOutcomes:
        opened.append(SqlOutcomes.open(where, **({"keys": keys, "ids": RandomIds(), "clock": clock} | parts)))
        return opened[-1]

    yield open_it
    for outcomes in opened:
        outcomes.close()


@pytest.fixture
def outcomes(open_outcomes: Callable[..., SqlOutcomes]) -> SqlOutcomes:
    return open_outcomes()


@pytest.fixture
def make() -> Callable[..., Manifest]:
    """Make a manifest."""
    return manifest
