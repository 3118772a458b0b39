"""What the operator decides: ``config.toml``, and ``window.toml`` of a window half that is served by itself.

One module reads one section, or a few that belong together; :mod:`~heldout_server.config.reader` takes the values out
and says what is wrong with one, :mod:`~heldout_server.config.sections` has what both documents have.
"""

from heldout_server.config.appliance import Config, load_config
from heldout_server.config.window import AnyConfig, WindowConfig, load_window_config

__all__ = ["AnyConfig", "Config", "WindowConfig", "load_config", "load_window_config"]
