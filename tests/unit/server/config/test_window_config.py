"""``window.toml`` names what a window by itself may touch, and nothing of the vault is taken from it."""

import pytest

from heldout_server.config import load_window_config
from heldout_server.errors import ConfigError

MINIMAL = """\
[appliance]
name = "lab-1"
[listen]
address = "127.0.0.1:0"
health_address = "127.0.0.1:0"
[tls]
ca = "ca.pem"
certificate = "server.pem"
key = "server.key"
[keys]
root = "root.key"
ring = "ring.json"
[policy]
folder = "policy"
signer = "signer.pem"
[data]
window = "window"
"""


@pytest.fixture
def load(tmp_path):
    for name in ("ca.pem", "server.pem", "server.key", "root.key", "ring.json", "signer.pem"):
        (tmp_path / name).touch()
    for name in ("policy", "window"):
        (tmp_path / name).mkdir()

    def load(text):
        (tmp_path / "window.toml").write_text(text)
        return load_window_config(tmp_path / "window.toml")

    return load


def test_it_is_read_where_no_folder_of_the_vault_is(load, tmp_path):
    config = load(MINIMAL)
    assert config.data.folders() == {"window": tmp_path / "window"}
    assert config.keys.root == tmp_path / "root.key"


@pytest.mark.parametrize(
    ("addition", "key"),
    [
        ('staging = "staging"\n', "data.staging"),
        ('[watch]\nsource = "checkpoints"\n', "watch"),
        ("[runtimes]\n", "runtimes"),
        ("[evaluation]\nin_flight = 8\n", "evaluation"),
    ],
)
def test_what_belongs_to_the_vault_is_refused(load, addition, key):
    with pytest.raises(ConfigError, match=rf"window.toml line \d+: {key}: no such"):
        load(MINIMAL + addition)


def test_the_config_of_the_vault_is_told_from_a_slip_of_the_pen(load):
    with pytest.raises(ConfigError, match=r"data.vault: is the vault's.*\n  name window.toml"):
        load(MINIMAL + 'vault = "vault"\n')
