"""The config that an installation writes for a window half that is served by itself."""

from __future__ import annotations

from typing import Final

from heldout_server.installation.documents import reachable

WINDOW_CONFIG = """\
# The config of the window half where it is a process of its own: heldout-server serve --half window. Where both halves
# are one process, config.toml alone is read. Paths are relative to this file. It names all that this process may touch.

[appliance]
# As in config.toml.
name = "{name}"

[listen]
# Where trainers and auditors reach it, over mTLS. Their profiles say it as window_address.
address = "{address}"
# Health of this half alone (grpc.health.v1), without TLS: keep it on loopback or inside the cluster.
health_address = "{health}"

# A certificate of its own is fine: then profiles say its name as window_server_name.
[tls]
ca = "pki/ca.pem"
certificate = "pki/server.pem"
key = "pki/server.key"

# As in config.toml.
[limits]
# trainer = {{ per_s = 20.0, burst = 1000 }}
# auditor = {{ per_s = 100.0, burst = 2000 }}

[keys]
# They open what is published and the window's log, and nothing of the vault.
root = "keys/window/root.key"
ring = "keys/window/ring.json"

# As in config.toml.
[policy]
folder = "policy"
signer = "policy/signer.pem"

[data]
# The one folder that it shares with the vault.
window = "window"

# As in config.toml: a second device for the window's log.
[audit]
#     second="/mnt/other/heldout"
# commit_deadline_s = 5.0
# sweep_leaves_per_s = 5000.0
# sweep_pause_s = 60.0

[telemetry]
# log_format = "console"
# log_level = "info"
# metrics_interval_s = 0
"""


def window_config_text(*, name: str, address: str, health: str) -> str:
    """Return ``window.toml`` with a comment at every section.

    Args:
        name: the appliance, an identifier.
        address: ``host:port`` of the window half.
        health: ``host:port`` of its health server.
    """
    return WINDOW_CONFIG.format(name=name, address=address, health=health)


WINDOW_ADDRESS: Final = 'window_address = "{address}"\n'
APART: Final = "# Where the window half is a process of its own:\n"


def window_profile_text(profile: str, address: str, *, apart: bool) -> str:
    """Return a client profile that says where the window half is, or how to say it if it is a process of its own.

    Args:
        profile: as it is without.
        address: ``host:port`` of the window half, or where it would listen.
        apart: whether it is a process of its own.
    """
    line = WINDOW_ADDRESS.format(address=reachable(address))
    return profile.replace("server_name =", APART + ("" if apart else "# ") + line + "server_name =", 1)
