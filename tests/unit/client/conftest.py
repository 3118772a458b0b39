"""What the client's tests share; see ``client_fakes``."""

import pytest
from client_fakes import FakeAppliance


@pytest.fixture
def appliance():
    """An appliance in memory, with nothing published."""
    return FakeAppliance()
