"""Settings for every test."""

import pytest
from hypothesis import settings

# Machines that build share their cores: a slow example is no failure.
settings.register_profile("heldout", deadline=None)
settings.load_profile("heldout")


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory):
    """Keep what clients remember of the tests' appliances out of the home of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield
