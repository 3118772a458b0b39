"""An appliance at two moments of its life, and what comes of putting files of the older one back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from heldout_proto.v1 import findings_pb2
from heldout_server.app import restoring
from heldout_server.app.logs import DATABASES, LOG_FILE
from heldout_server.attack.furnishing import mild_prompts
from heldout_server.attack.runs import settled_budget
from heldout_server.attack.stage import Stage
from heldout_server.config import load_config
from heldout_server.errors import HeldoutError

SECOND: Final = "nova-v2"
PAGE_BYTES: Final = 4096
HALVES: Final = ("vault", "window")
LOGS: Final = tuple((half, name) for half, name in DATABASES if name == LOG_FILE)
HELD: Final = tuple((half, name) for half, name in DATABASES if name != LOG_FILE)


class Images:
    """Hold a stopped appliance, and copies of it after its first and its second release."""

    def __init__(self, folder: Path) -> None:
        """Take an appliance's folder; the copies lie beside it."""
        self._folder = folder
        self._old = folder.with_name("old")
        self._new = folder.with_name("new")

    def put_back(self, *, old: bool) -> None:
        """Put a whole image back."""
        for half in HALVES:
            shutil.rmtree(self._folder / half)
            shutil.copytree((self._old if old else self._new) / half, self._folder / half)

    def put_back_file(self, half: str, name: str) -> None:
        """Put one database of the old image into the newest."""
        self.put_back(old=False)
        shutil.copyfile(self._old / half / name, self._folder / half / name)

    def put_back_pages(self, half: str, name: str) -> Iterator[int]:
        """Put each page of an old database that differs into the newest in turn, and yield its number."""
        old, new = (self._old / half / name).read_bytes(), (self._new / half / name).read_bytes()
        for start in range(0, min(len(old), len(new)), PAGE_BYTES):
            page = old[start : start + PAGE_BYTES]
            if page != new[start : start + PAGE_BYTES]:
                self.put_back(old=False)
                changed = new[:start] + page + new[start + PAGE_BYTES :]
                (self._folder / half / name).write_bytes(changed)
                yield start // PAGE_BYTES

    async def found(self) -> bool:
        """Say whether a look at the databases, as at a start, finds that something is not the newest."""
        try:
            survey = await restoring.survey(load_config(self._folder / "config.toml"))
        except HeldoutError:
            return True
        return bool(survey.damaged or survey.restored)


async def take_images(stage: Stage) -> Images:
    """Let an appliance publish a release, copy it, change all its databases, copy it again, and leave it stopped."""
    folder = stage.own_folder
    await stage.furnish()
    await settled_budget(stage, used=1)
    await _copy(stage, folder.with_name("old"))
    await stage.start()
    await stage.import_prompts(
        [one | {"text": f"Once more: {one['text']}"} for one in mild_prompts(harmful=6, benign=6)]
    )
    score = findings_pb2.Score(
        checkpoint="nova-v1", kind=findings_pb2.SCORE_KIND_CAPABILITY, benchmark="swe-bench", value_milli=41_500
    )
    request = findings_pb2.RecordScoreRequest(score=score).SerializeToString()
    await stage.ask("trainer", "/heldout.v1.FindingsService/RecordScore", request)
    stage.submit(SECOND)
    await stage.published(SECOND)
    await settled_budget(stage, used=2)
    await _copy(stage, folder.with_name("new"))
    return Images(folder)


async def _copy(stage: Stage, target: Path) -> None:
    await stage.stop()
    for half in HALVES:
        shutil.copytree(stage.own_folder / half, target / half)
