"""Files of prompts, as people have them: read as streams in bounded memory, and turned into rows of the bank.

One file a format (``json_lines``, ``csv_table``, ``parquet_table``, ``yaml_document``, ``prompt_list``), and
``layouts`` for what the columns of known data sets mean. A row that will not do is named by its line and a reason
code, never quoted. A file that is none (empty, binary, damaged, a bomb) is refused as a whole, in one line. The room
never guesses an intent or a category, and never drops a column that it does not know. Whether a text may enter the
bank is for the bank to say: only what could not be sent is judged here.
"""

from heldout.bank_files.content import MAX_LINE_BYTES, read_lines
from heldout.bank_files.options import ReadOptions
from heldout.bank_files.rows import read_rows

__all__ = ["MAX_LINE_BYTES", "ReadOptions", "read_lines", "read_rows"]
