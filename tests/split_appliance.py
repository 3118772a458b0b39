"""A real appliance as two processes: the vault half, which is what a test calls the appliance, and the window half."""

import dataclasses
import re
from dataclasses import dataclass, field

from heldout import AsyncClient
from served_appliance import ServedAppliance


@dataclass
class SplitAppliance(ServedAppliance):
    """Hold the process of the vault half, as what this is, and that of the window half.

    Attributes:
        window: the window half; it shares the folder, and has a log of its own.
    """

    window: ServedAppliance = field(default=None)

    @classmethod
    def install(cls, root, *, policy=None, sharing=None, **settings):
        """Install into a folder below ``root``, as any appliance."""
        split = super().install(root, policy=policy, sharing=sharing, **settings)
        split.words = ("--half", "vault")
        config = split.folder / "window.toml"
        text, found = re.subn(r'"127\.0\.0\.1:\d+"', '"127.0.0.1:0"', config.read_text())
        assert found == 2  # the service, and its health
        config.write_text(text)
        split.window = ServedAppliance(
            split.folder,
            split.temporary,
            root / "window.log",
            words=("--half", "window"),
            config="window.toml",
        )
        return split

    async def start(self):
        """Start the vault, which makes what the window reads, and then the window."""
        await self.start_vault()
        await self.start_window()
        return self

    async def start_window(self):
        """Start the window half beside a vault that made what it reads; the profiles then name the ports of both."""
        await self.window.start()
        for profile in (self.folder / "profiles").iterdir():
            text = profile.read_text()
            for name, port in (("address", self.port), ("window_address", self.window.port)):
                text, found = re.subn(rf"^(# )?{name} = .*$", f'{name} = "127.0.0.1:{port}"', text, flags=re.MULTILINE)
                assert found == 1, name
            profile.write_text(text)

    async def start_vault(self):
        """Start the vault half alone."""
        await super().start()

    async def stop(self):
        """End both as an operator does."""
        await self.forget_clients()
        await self.window.stop()
        await super().stop()

    async def close(self):
        """End whatever still runs."""
        await self.window.close()
        await super().close()

    def profile(self, role):
        """Return the client profile of a role, with both addresses."""
        ports = {"address": self.port, "window_address": self.window.port}
        return dataclasses.replace(
            super().profile(role),
            **{name: f"127.0.0.1:{port}" for name, port in ports.items()},
            window_server_name="localhost",
        )

    async def client(self, role):
        """Connect as a role to both; the client is closed with the appliance."""
        client = AsyncClient.from_profile(self.profile(role))
        self.clients.append(client)
        return client
