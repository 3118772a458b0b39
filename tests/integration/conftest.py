"""A whole appliance for the integration tests: real SQLCipher, real gRPC over mTLS on loopback, all in this process."""

import dataclasses
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from heldout import AsyncClient
from heldout.profile import read_profile
from heldout_server.app.halves import pick
from heldout_server.app.serving import Appliance, serve
from heldout_server.config import Config, load_config
from heldout_server.environment import SystemClock
from heldout_server.installation import install
from heldout_server.telemetry import Telemetry, configure_telemetry
from lab_texts import POLICY, write_checkpoint
from served_appliance import ServedAppliance, until

__all__ = ["until"]  # the one way to wait


@dataclass
class Lab:
    """Hold an installed appliance, and the running one once there is one."""

    folder: Path
    config: Config
    stack: AsyncExitStack
    telemetry: Telemetry = field(default_factory=configure_telemetry)
    running: Appliance | None = None
    clients: dict[str, AsyncClient] = field(default_factory=dict)

    async def start(self, environment=None):
        serving = serve(self.config, self.telemetry.metrics, pick(self.config), environment)
        self.running = await self.stack.enter_async_context(serving)
        return self.running

    def profile(self, role):
        profile = read_profile(self.folder / "profiles" / f"{role}.toml")
        return dataclasses.replace(profile, address=f"127.0.0.1:{self.running.port}")

    async def client(self, role):
        if role not in self.clients:
            self.clients[role] = await self.stack.enter_async_context(AsyncClient.from_profile(self.profile(role)))
        return self.clients[role]

    def write_checkpoint(self, name, *, table=None, line="nova"):
        write_checkpoint(self.config.watch.source, name, table=table, line=line)


@pytest.fixture
def policy_text():
    """Return the release policy of the appliances; a test module may have one of its own."""
    return POLICY


@pytest.fixture
def installed(tmp_path, policy_text):
    """Install an appliance in a folder whose paths are short enough for sockets."""
    policy = tmp_path / "release.toml"
    policy.write_text(policy_text)
    folder = tmp_path / "a"
    install(folder, address="127.0.0.1:0", health="127.0.0.1:0", clock=SystemClock(), release_policy=policy)
    text = (folder / "config.toml").read_text()
    text = text.replace("# poll_s = 1.0", "poll_s = 0.05").replace('# isolation = "namespace"', 'isolation = "none"')
    (folder / "config.toml").write_text(text)
    return folder


@pytest.fixture
async def lab(installed):
    """Run an appliance."""
    async with AsyncExitStack() as stack:
        lab = Lab(installed, load_config(installed / "config.toml"), stack)
        stack.callback(lab.telemetry.shutdown)
        await lab.start()
        yield lab


@pytest.fixture
async def start_lab(installed):
    """Return a function that runs an appliance with other sections of the config; ``lab.stack.aclose()`` stops it."""
    async with AsyncExitStack() as stack:

        async def start(*, environment=None, **sections):
            config = dataclasses.replace(load_config(installed / "config.toml"), **sections)
            lab = Lab(installed, config, await stack.enter_async_context(AsyncExitStack()))
            lab.stack.callback(lab.telemetry.shutdown)
            await lab.start(environment)
            return lab

        yield start


@pytest.fixture
async def served(tmp_path):
    """Install an appliance that a test starts in a process of its own."""
    served = ServedAppliance.install(tmp_path, policy=POLICY)
    yield served
    await served.close()
