"""See a checkpoint refused."""

from __future__ import annotations

import pytest

from heldout_server.checkpoints.refusal import Unacceptable


def refusal(take_in, place, name="nova-1", **limits):
    """Return why a checkpoint is refused, having seen that nothing of it stays and nothing of it is quoted."""
    with pytest.raises(Unacceptable) as caught:
        take_in(name, **limits)
    assert list(place.staging.iterdir()) == []
    assert str(caught.value) == f"the checkpoint is refused: {caught.value.code.value}"
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return caught.value.code.value
