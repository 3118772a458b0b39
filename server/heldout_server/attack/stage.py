"""The stage of an attack: a real appliance in a process of its own, or one that somebody else runs."""

from __future__ import annotations

import contextlib
import json
import signal
import tomllib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from heldout_proto.v1 import bank_pb2, evaluation_pb2, findings_pb2
from heldout_server.attack.caller import Caller, Certificate, Told
from heldout_server.attack.furnishing import FIRST, TABLE, mild_prompts
from heldout_server.attack.patience import PATIENCE_S, until
from heldout_server.attack.process import LAUNCHER, ApplianceProcess
from heldout_server.attack.setting import Setting
from heldout_server.environment import SystemClock
from heldout_server.errors import ConfigError
from heldout_server.installation import install

PAGE: Final = 100


class Stage:
    """Hold the appliance under attack.

    Attributes:
        folder: of the appliance; None where somebody else runs it.
        profiles: folder of the client profiles, one a role.
    """

    def __init__(
        self, profiles: Path, folder: Path | None = None, *, launcher: Sequence[str | Path] = LAUNCHER
    ) -> None:
        """Take what :func:`own_stage` or :func:`staging` prepared."""
        self.profiles = profiles
        self.folder = folder
        self._process = None if folder is None else ApplianceProcess(folder, launcher=launcher)
        self._callers: list[Caller] = []

    # Calling

    def certificate(self, role: str) -> Certificate:
        """Return what a role shows.

        Raises:
            ConfigError: there is no profile of the role.
        """
        profile = self._profile(role)
        read = {name: (self.profiles / profile[name]).read_bytes() for name in ("ca", "certificate", "key")}
        return Certificate(authority=read["ca"], certificate=read["certificate"], key=read["key"])

    def caller(self, role: str, *, certificate: Certificate | None = None) -> Caller:
        """Return a new connection as a role, or with another certificate; it is closed with the stage."""
        profile = self._profile(role)
        caller = Caller(
            self._served_at(role),
            certificate or self.certificate(role),
            server_name=profile.get("server_name", "localhost"),
        )
        self._callers.append(caller)
        return caller

    async def ask(self, role: str, method: str, request: bytes = b"") -> Told:
        """Call once, on a connection of its own."""
        async with self.caller(role) as caller:
            return await caller.call(method, request)

    async def releases(self, role: str = "trainer") -> list[findings_pb2.ReleaseWithReceipt]:
        """Return everything that is published, oldest first."""
        found: list[findings_pb2.ReleaseWithReceipt] = []
        token = ""
        async with self.caller(role) as caller:
            while True:
                request = findings_pb2.ListReleasesRequest(page_size=PAGE, page_token=token)
                told = await caller.call("/heldout.v1.FindingsService/ListReleases", request.SerializeToString())
                page = findings_pb2.ListReleasesResponse.FromString(told.body)
                found += page.releases
                token = page.next_page_token
                if not token:
                    return found

    async def budget(self) -> findings_pb2.Budget:
        """Return what the ledger has left, as a trainer sees it."""
        told = await self.ask("trainer", "/heldout.v1.FindingsService/GetBudget")
        return findings_pb2.GetBudgetResponse.FromString(told.body).budget

    # Filling

    @property
    def own_folder(self) -> Path:
        """Return the folder of an appliance that is ours.

        Raises:
            ConfigError: somebody else runs it.
        """
        if self.folder is None:
            raise ConfigError("this attack needs an appliance of its own")
        return self.folder

    @property
    def checkpoints(self) -> Path:
        """Return where the appliance looks for checkpoints."""
        return self.own_folder / "checkpoints"

    async def import_prompts(self, prompts: Sequence[Mapping[str, str]]) -> bank_pb2.ImportPromptsResponse:
        """Import prompts as the bank tester: ``text``, ``intent`` (harmful or benign), ``category``, ``family``."""
        intents = {"harmful": bank_pb2.INTENT_HARMFUL, "benign": bank_pb2.INTENT_BENIGN}
        rows = [
            bank_pb2.ImportRow(
                line=number,
                prompt=bank_pb2.Prompt(
                    text=one["text"],
                    intent=intents[one.get("intent", "harmful")],
                    category=one.get("category", "mischief"),
                    family=one.get("family", ""),
                ),
            )
            for number, one in enumerate(prompts, start=1)
        ]
        requests = [
            bank_pb2.ImportPromptsRequest(options=bank_pb2.ImportOptions(skip_bad=False)),
            *(bank_pb2.ImportPromptsRequest(rows=rows[at : at + PAGE]) for at in range(0, len(rows), PAGE)),
            bank_pb2.ImportPromptsRequest(last=True),
        ]
        async with self.caller("bank_tester") as caller:
            told = await caller.call(
                "/heldout.v1.BankService/ImportPrompts", *(request.SerializeToString() for request in requests)
            )
        return bank_pb2.ImportPromptsResponse.FromString(told.body)

    async def open_epoch(self) -> Told:
        """Freeze the bank's prompts as the bank tester."""
        return await self.ask("bank_tester", "/heldout.v1.BankService/OpenEpoch")

    def submit(
        self, name: str, table: Mapping[str, Any] | None = None, *, line: str = "nova", runtime: str = "scripted"
    ) -> None:
        """Put a checkpoint where the appliance looks for them: what a training team can always do.

        Args:
            name: of the checkpoint.
            table: of the scripted model, see :mod:`heldout_server.runtimes.scripted`.
            line: of the model.
            runtime: that it asks for.
        """
        folder = self.checkpoints / name
        folder.mkdir()
        (folder / "checkpoint.toml").write_text(f'name = "{name}"\nline = "{line}"\nruntime = "{runtime}"\n')
        (folder / "scripted.json").write_text(json.dumps(TABLE if table is None else table))
        (folder / "READY").touch()

    async def published(self, name: str, *, patience_s: float = PATIENCE_S) -> findings_pb2.Release:
        """Wait until a release about a checkpoint is published, and return it."""

        async def look() -> findings_pb2.Release | None:
            """Return the newest release about it, if there is one."""
            releases = [one.release for one in await self.releases()]
            return next((one for one in reversed(releases) if one.tested.checkpoint == name), None)

        return await until(look, patience_s=patience_s)

    async def runs(self) -> list[evaluation_pb2.Run]:
        """Return the runs as a run_tester sees them."""
        told = await self.ask("run_tester", "/heldout.v1.EvaluationService/ListRuns")
        return list(evaluation_pb2.ListRunsResponse.FromString(told.body).runs)

    async def rest(self, *, patience_s: float = PATIENCE_S) -> None:
        """Wait until no run is under way.

        Raises:
            TimeoutError: one is, after so many seconds.
        """

        async def look() -> bool:
            """Say whether every run is over, or not begun."""
            return all(run.state != evaluation_pb2.RUN_STATE_RUNNING for run in await self.runs())

        await until(look, patience_s=patience_s)

    async def furnish(self, *, harmful: int = 24, benign: int = 8) -> None:
        """Fill the bank with mild prompts, open an epoch, and let the first checkpoint be released."""
        await self.import_prompts(mild_prompts(harmful=harmful, benign=benign))
        await self.open_epoch()
        self.submit(FIRST)
        await self.published(FIRST)

    # The process

    @property
    def process(self) -> ApplianceProcess:
        """Return the process of an appliance that is ours.

        Raises:
            ConfigError: somebody else runs it.
        """
        if self._process is None:
            raise ConfigError("this attack needs an appliance of its own")
        return self._process

    @property
    def said(self) -> str:
        """Return what the appliance wrote on its standard error, over all starts."""
        return self.process.said

    @property
    def address(self) -> str:
        """Return where it is served, as ``host:port``."""
        return self._served_at("trainer")

    async def start(self) -> None:
        """Start the appliance and wait until it serves.

        Raises:
            ConfigError: it does not come up.
        """
        refusal = await self.try_start()
        if refusal:
            raise ConfigError(f"the appliance did not start: {refusal}")

    async def try_start(self) -> str:
        """Start the appliance, and wait until it serves or has ended; return what it said last then, or nothing."""
        return await self.process.try_start()

    async def stop(self) -> None:
        """End the appliance as an operator does."""
        await self.process.end(signal.SIGTERM)

    async def kill(self) -> None:
        """End the appliance at once and without warning."""
        await self.process.end(signal.SIGKILL)

    async def close(self) -> None:
        """Close every connection, and end the appliance if it is ours and still runs."""
        while self._callers:
            await self._callers.pop().__aexit__(None, None, None)
        if self._process is not None:
            await self._process.end(signal.SIGKILL)

    def _served_at(self, role: str) -> str:
        started = "" if self._process is None else self._process.address
        return started or self._profile(role)["address"]

    def _profile(self, role: str) -> dict[str, str]:
        path = self.profiles / f"{role}.toml"
        try:
            return tomllib.loads(path.read_text())
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}: an attack plays every role") from None


@contextlib.asynccontextmanager
async def own_stage(
    root: Path, *, setting: Setting | None = None, launcher: Sequence[str | Path] = LAUNCHER
) -> AsyncIterator[Stage]:
    """Install and start an appliance below ``root``, and end it on leaving. Its bank is empty.

    Args:
        root: an empty folder; its path must be short, because sockets are made below it.
        setting: what it is like.
        launcher: what it is started with.
    """
    setting = setting or Setting()
    folder, policy = root / "a", root / "release.toml"
    policy.write_text(setting.policy)
    install(
        folder, name="attacked", address="127.0.0.1:0", health="127.0.0.1:0", clock=SystemClock(), release_policy=policy
    )
    config = folder / "config.toml"
    config.write_text(setting.written_into(config.read_text()))
    for name, content in setting.files.items():
        (folder / name).write_text(content)
    stage = Stage(folder / "profiles", folder, launcher=launcher)
    try:
        await stage.start()
        yield stage
    finally:
        await stage.close()


@contextlib.asynccontextmanager
async def staging(profiles: Path) -> AsyncIterator[Stage]:
    """Attack an appliance that somebody else runs, by its profiles."""
    stage = Stage(profiles)
    try:
        yield stage
    finally:
        await stage.close()
