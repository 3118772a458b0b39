"""Plain lists: one prompt a line, as garak and many others keep them."""

from __future__ import annotations

from collections.abc import Iterator

from heldout.bank_files.content import Content, decode_lines
from heldout.bank_files.fields import Record
from heldout.bank_model import BadRow


def read_list(content: Content) -> Iterator[Record | BadRow]:
    """Yield each line that is not blank, without white space around it."""
    for number, line in decode_lines(content.file, content.name):
        text = line.strip()
        if text:
            yield Record(number, {"prompt": text})
