"""Rows of prompts as messages, in batches that are sent, or sealed, one by one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from heldout.bank_model import Intent, PromptRow
from heldout_proto.v1 import bank_pb2 as pb

BATCH_ROWS: Final = 500
BATCH_BYTES: Final = 1 << 20
INTENT_NUMBERS: Final = {Intent.HARMFUL: pb.INTENT_HARMFUL, Intent.BENIGN: pb.INTENT_BENIGN}


def batch_rows(rows: Iterable[PromptRow]) -> Iterable[list[pb.ImportRow]]:
    """Cut rows into messages well under what a message may hold: 500 rows, or a MiB and a row."""
    batch: list[pb.ImportRow] = []
    size_bytes = 0
    for row in rows:
        message = _row(row)
        size_bytes += message.ByteSize()
        batch.append(message)
        if len(batch) == BATCH_ROWS or size_bytes >= BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


def _row(row: PromptRow) -> pb.ImportRow:
    prompt = row.prompt
    return pb.ImportRow(
        line=row.line,
        prompt=pb.Prompt(
            text=prompt.text,
            intent=INTENT_NUMBERS[prompt.intent],
            category=prompt.category,
            language=prompt.language,
            tags=prompt.tags,
            family=prompt.family,
        ),
    )
