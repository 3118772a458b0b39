"""A source, a staging folder, and a registry over both."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from heldout_server.checkpoints import FolderSource, SqlCheckpoints
from heldout_server.checkpoints.intake import stage
from heldout_server.config.watch import Limits

QUOTA = 100 * 1024**2
HEADER = json.dumps({"weights": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}}).encode()
MODEL = len(HEADER).to_bytes(8, "little") + HEADER + b"weights!"


class FixedKeys:
    def database_key(self, name):
        return hashlib.sha256(name.encode()).digest()


class FixedClock:
    def now_s(self):
        return 1_750_000_000.75

    def monotonic_s(self):
        return 0.0


@dataclass
class Place:
    """Hold the folders, and put checkpoints into the source."""

    folder: Path

    @property
    def source(self):
        return self.folder / "source"

    @property
    def staging(self):
        return self.folder / "staging"

    def open(self, source=None, **limits):
        return SqlCheckpoints.open(
            self.folder / "checkpoints.db",
            keys=FixedKeys(),
            clock=FixedClock(),
            source=source or FolderSource(self.source),
            staging=self.staging,
            limits=Limits(**{"min_free_bytes": 0, **limits}),
        )

    def put(self, name="nova-1", files=None, *, manifest=None, ready_s=1000):
        """Write a checkpoint and, unless ``ready_s`` is None, its marker; return its folder."""
        folder = self.source / name
        folder.mkdir()
        if manifest is None:
            manifest = f'name = "{name}"\nline = "nova"\nruntime = "scripted"\n'
        if manifest:
            (folder / "checkpoint.toml").write_text(manifest)
        for path, content in ({"model.safetensors": MODEL} if files is None else files).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        if ready_s is not None:
            self.mark(name, ready_s)
        return folder

    def mark(self, name, ready_s=1000):
        marker = self.source / name / "READY"
        marker.touch()
        os.utime(marker, (ready_s, ready_s))


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    place.source.mkdir()
    place.staging.mkdir()
    return place


@pytest.fixture
def registry(place):
    registry = place.open()
    yield registry
    registry.close()


@pytest.fixture
def take_in(place):
    def take_in(name="nova-1", stop=None, elsewhere=(), quota=QUOTA, **limits):
        return stage(
            FolderSource(place.source),
            name=name,
            staging=place.staging,
            stop=stop or threading.Event(),
            quota=quota,
            limits=Limits(**{"min_free_bytes": 0, **limits}),
            elsewhere=elsewhere,
        )

    return take_in


@pytest.fixture
def disk(monkeypatch):
    """Say how large and how free the disk is, and after the first look how free ``then``."""

    def disk(*, total, free, then=None):
        measured = []

        def disk_usage(_folder):
            measured.append(free if then is None or not measured else then)
            return shutil._ntuple_diskusage(total, total - measured[-1], measured[-1])

        monkeypatch.setattr(shutil, "disk_usage", disk_usage)
        return measured

    return disk
