"""The attacks on the mechanism find a mechanism that is too weak: they are real."""

from __future__ import annotations

import pytest

from heldout_server.attack.attacks import accounting, drip_over_releases, one_question, reconstruction
from heldout_server.release import OpenDpNoise


class NarrowNoise:
    """Draw noise that is narrower than it is asked to be."""

    def __init__(self, times):
        self._times = times
        self._noise = OpenDpNoise()

    def add(self, values, *, sigma):
        return self._noise.add(values, sigma=sigma / self._times)


class NoNoise:
    """Leave the noise away."""

    def add(self, values, *, sigma):
        return values


@pytest.mark.parametrize("noise", [NarrowNoise(1.25), NoNoise()], ids=["narrow", "none"])
def test_the_account_finds_noise_of_another_width_than_published(noise):
    assert not accounting.count(noise).held


@pytest.mark.slow
def test_the_game_finds_a_sigma_1_25_times_too_small():
    assert not one_question.ask(NarrowNoise(1.25)).held


def test_a_game_that_cannot_be_won_at_all_shows_nothing():
    """Without noise a single unit is lost in the grid, and the attacker guesses: that is no proof of safety."""
    assert not one_question.ask(NoNoise(), games=400).held


def test_the_drip_over_releases_finds_noise_that_is_half_as_wide():
    assert not drip_over_releases.drip(NarrowNoise(2), games=80).held


@pytest.mark.slow
def test_the_reconstruction_finds_noise_that_is_half_as_wide():
    assert reconstruction.released(NarrowNoise(2), seeds=4) > reconstruction.BOUNDS[1]


def test_an_attack_that_gets_nothing_of_exact_counts_shows_nothing():
    works = {"exactly": 1.0, "rounding": 0.995, "noise": 0.99}
    assert reconstruction.judge(told=0.72, **works).held
    assert not reconstruction.judge(told=0.80, **works).held
    assert not reconstruction.judge(told=0.55, **works).held
    assert not reconstruction.judge(told=0.72, **works | {"rounding": 0.7}).held
