"""Look at the files of a checkpoint one by one, and say what they said together."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Final

from heldout_server.checkpoints.formats.configs import MAX_CONFIG_BYTES, is_config, read_config
from heldout_server.checkpoints.formats.contents import Contents
from heldout_server.checkpoints.formats.gguf import MAGIC, read_gguf
from heldout_server.checkpoints.formats.safetensors import read_safetensors
from heldout_server.checkpoints.refusal import Reason, Unacceptable
from heldout_server.domain import IDENTIFIER, CheckpointFacts

SAFETENSORS: Final = ".safetensors"
GGUF: Final = ".gguf"
CHAT_TEMPLATE: Final = "chat_template.jinja"
MAX_TEMPLATE_BYTES: Final = 1024 * 1024


class Inspection:
    """Collect what the files of one checkpoint say.

    Of an architecture, the first file that names one is believed. Of chat templates, the one that engines take: in the
    weights (GGUF), else the file of its own, else the one in ``tokenizer_config.json``.

    Attributes:
        adapter: a file says that it adapts weights that are not in the checkpoint.
    """

    def __init__(self) -> None:
        self._sizes: Counter[str] = Counter()
        self._architecture = ""
        self._templates: dict[str, bytes] = {}
        self.adapter = False

    def add(self, path: str, copy: Path) -> None:
        """Look at one file, if it is of a kind that says something.

        Args:
            path: its name in the checkpoint.
            copy: the staged copy.

        Raises:
            Unacceptable: it is malformed, or asks for code.
            OSError: it cannot be read.
        """
        suffix = PurePosixPath(path).suffix.casefold()
        with copy.open("rb") as file:
            head = file.read(len(MAGIC))
            file.seek(0)
            if suffix == GGUF or head == MAGIC:
                self._add_weights(read_gguf(file, size=copy.stat().st_size))
            elif suffix == SAFETENSORS:
                self._add_weights(read_safetensors(file, size=copy.stat().st_size))
            elif is_config(path):
                said = read_config(path, file.read(MAX_CONFIG_BYTES + 1))
                self._name_architecture(said.architecture)
                self._keep_template("config", said.chat_template)
                self.adapter |= said.adapter
            elif path == CHAT_TEMPLATE:
                template = file.read(MAX_TEMPLATE_BYTES + 1)
                if len(template) > MAX_TEMPLATE_BYTES:
                    raise Unacceptable(Reason.CONFIG_INVALID)
                self._keep_template("file", template)

    def facts(self) -> CheckpointFacts:
        """Return what was said."""
        template = next((self._templates[of] for of in ("weights", "file", "config") if of in self._templates), None)
        return CheckpointFacts(
            precision=max(sorted(self._sizes), key=lambda of: self._sizes[of], default=""),
            architecture=self._architecture,
            chat_template_digest="" if template is None else hashlib.sha256(template).hexdigest(),
        )

    def _add_weights(self, contents: Contents) -> None:
        self.adapter |= contents.adapter
        self._sizes.update(contents.sizes)
        self._name_architecture(contents.architecture)
        self._keep_template("weights", contents.chat_template)

    def _name_architecture(self, architecture: str) -> None:
        if not self._architecture and IDENTIFIER.fullmatch(architecture):
            self._architecture = architecture

    def _keep_template(self, of: str, template: bytes | None) -> None:
        if template is not None:
            self._templates.setdefault(of, template)
