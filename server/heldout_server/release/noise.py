"""The one source of noise that protects: OpenDP's exact sampler of the discrete Gaussian.

It cannot be seeded, so tests bring a source of their own through :class:`heldout_server.ports.environment.Noise`.
"""

from __future__ import annotations

from heldout_server.errors import HeldoutError


class OpenDpNoise:
    """Draw discrete Gaussian noise from the operating system's randomness."""

    def add(self, values: list[int], *, sigma: float) -> list[int]:
        """Return each value plus an independent discrete Gaussian.

        Args:
            values: whole numbers that fit into 64 bits.
            sigma: scale in the values' own unit, above 0.

        Raises:
            HeldoutError: OpenDP refuses, with reason ``NOISE``; its own text may quote a value, so it is left out.
        """
        # The import takes 0.2 s, and a start does not need it; opendp.prelude would take 1.2 s.
        from opendp.domains import atom_domain, vector_domain  # noqa: PLC0415 - see above
        from opendp.measurements import make_gaussian  # noqa: PLC0415 - see above
        from opendp.metrics import l2_distance  # noqa: PLC0415 - see above
        from opendp.mod import OpenDPException, enable_features  # noqa: PLC0415 - see above

        enable_features("contrib")  # make_gaussian is there; its proof is public, and our tests check its map
        try:
            # T=int would mean 32 bits, too few for millionths of 2,148 units. A distance in whole numbers would
            # silently round a sensitivity of sqrt(12).
            domain = vector_domain(atom_domain(T="i64"), len(values))
            return list(make_gaussian(domain, l2_distance(T=float), scale=sigma)(values))
        except (OpenDPException, ArithmeticError, TypeError, ValueError):
            raise HeldoutError("noise could not be drawn", reason="NOISE") from None
