"""The noise that protects, and what OpenDP itself says that it costs."""

from __future__ import annotations

import math

import pytest
from opendp.domains import atom_domain, vector_domain
from opendp.measurements import make_gaussian
from opendp.metrics import l2_distance
from opendp.mod import enable_features

from heldout_policy.mechanism import noise_scale_micro
from heldout_server.errors import HeldoutError
from heldout_server.release import OpenDpNoise


def test_noise_is_added_independently_to_each_value():
    noised = OpenDpNoise().add([0] * 200, sigma=7_750_000.0)

    assert len(set(noised)) > 150
    assert all(isinstance(value, int) for value in noised)


def test_sums_past_32_bits_are_carried():
    values = [10_000 * 1_000_000, -5_000_000_000]
    noised = OpenDpNoise().add(values, sigma=1000.0)

    assert all(abs(after - before) < 100_000 for before, after in zip(values, noised, strict=True))


def test_the_scale_is_in_the_unit_of_the_values():
    noised = OpenDpNoise().add([0] * 4000, sigma=1_582_618.0)
    spread = math.sqrt(sum(value * value for value in noised) / len(noised))

    assert spread == pytest.approx(1_582_618, rel=0.08)  # seven standard errors


@pytest.mark.parametrize(("values", "sigma"), [([7 * 10**20], 1.0), ([7], -1.0), ([7], math.nan)])
def test_a_refusal_quotes_no_value(values: list[int], sigma: float):
    with pytest.raises(HeldoutError) as caught:
        OpenDpNoise().add(values, sigma=sigma)

    assert caught.value.reason == "NOISE"
    assert "7" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(("cells", "debit"), [(12, 99_813_193), (30, 249_532_984), (1, 6_654_212), (1, 199_626_387)])
def test_opendp_agrees_on_what_a_table_costs(cells: int, debit: int):
    """The map of OpenDP, from the sensitivity of a unit to rho, is an account of its own."""
    enable_features("contrib")
    sigma = noise_scale_micro(cells_per_unit=cells, debit_nano_rho=debit)
    domain = vector_domain(atom_domain(T="i64"), cells)
    rho = make_gaussian(domain, l2_distance(T=float), scale=float(sigma)).map(math.sqrt(cells) * 1_000_000)

    assert rho <= debit / 1e9 * (1 + 1e-12)
    assert rho == pytest.approx(debit / 1e9, rel=1e-6)
