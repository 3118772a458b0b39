import pytest

from heldout.bank_files import ReadOptions, read_rows


@pytest.fixture
def write(tmp_path):
    """Write a file of prompts and return its path."""

    def written(content, name="prompts.jsonl"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


@pytest.fixture
def read(write):
    """Write a file of prompts, and return its rows and whose columns they are."""

    def reading(content, name, **options):
        recognised = []
        rows = list(read_rows(write(content, name), ReadOptions(**options), on_recognised=recognised.append))
        return recognised[0], rows

    return reading
