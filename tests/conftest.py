"""Settings for every test."""

from hypothesis import settings

# Machines that build share their cores: a slow example is no failure.
settings.register_profile("heldout", deadline=None)
settings.load_profile("heldout")
