from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from heldout_server.config.reader import Reader
from heldout_server.config.watch import Limits, Store, read_watch
from heldout_server.errors import ConfigError


@pytest.fixture
def read(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "secret").write_text("mild-made-up-secret")

    def read(text):
        return read_watch(Reader(tomllib.loads(text), text=text, name="config.toml", folder=tmp_path))

    return read


def refused(read, text):
    with pytest.raises(ConfigError) as caught:
        read(text)
    return str(caught.value)


def test_a_path_is_a_folder(read, tmp_path):
    watch = read('[watch]\nsource = "checkpoints"\n')
    assert (watch.source, watch.poll_s, watch.auto_run) == (tmp_path / "checkpoints", 1.0, True)


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket",
        "s3://bucket/deep/prefix",
        "gs://bucket/p",
        "az://container/p",
        "abfss://container@account.dfs.core.windows.net/p",
        "https://models.example:8443/p",
    ],
)
def test_what_has_a_scheme_is_a_store(read, url):
    source = read(f'[watch]\nsource = "{url}"\n').source
    assert isinstance(source, Store)
    assert (source.url, dict(source.options)) == (url, {})


@pytest.mark.parametrize("header", ["[watch.options]\n", "[watch.options] # as obstore calls them\n\n"])
def test_options_are_taken_as_they_stand_and_secrets_by_their_file(read, tmp_path, header):
    text = (
        f'[watch]\nsource = "s3://bucket"\n{header}region = "r"\nallow_http = true\nnumber = 5\n'
        'secret_access_key = { file = "secret" }\n'
    )
    source = read(text).source
    assert source.options == {
        "region": "r",
        "allow_http": True,
        "number": "5",
        "secret_access_key": tmp_path / "secret",
    }
    assert "mild" not in repr(source)
    assert source.option_place("secret_access_key").line == len(text.splitlines())
    assert source.option_place("other") == source.place
    assert source.place.line == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'source = "ftp://h/p"',
            "line 2: watch.source: no such kind of store; known are s3, gs, az, abfss, https, http",
        ),
        ('source = "file:///tmp"', "line 2: watch.source: no such kind of store"),
        ('source = "memory:///"', "line 2: watch.source: no such kind of store"),
        ('source = "S3://bucket"', "line 2: watch.source: no such kind of store"),
        ('source = "s3://"', "line 2: watch.source: must be a store's URL"),
        ('source = "https://me:word@host/p"', "line 2: watch.source: must be a store's URL"),
        ('source = "https://host/p?sig=x"', "line 2: watch.source: must be a store's URL"),
        ('source = "https://host/p#x"', "line 2: watch.source: must be a store's URL"),
        ('source = "abfss://account/p"', "line 2: watch.source: must be a store's URL"),
        ('source = "s3://a b"', "line 2: watch.source: must be a store's URL"),
        ('source = "checkpoints"\noptions = {}', "line 3: watch.options: a folder takes no options"),
        ('source = "nowhere"', "line 2: watch.source: no such folder"),
        ("source = 1", "line 2: watch.source: must be the path of a folder"),
        ("", "line 1: watch.source: is missing"),
        ('source = "s3://b"\noptions = 1', "line 3: watch.options: must be a table\n  write [watch.options]"),
        ('source = "s3://b"\noptions = { region = [] }', "line 3: watch.options.region: must be text, true or false"),
        ('source = "s3://b"\n[watch.options]\nregion = 1.5', "line 4: watch.options.region: must be text"),
        ('source = "s3://b"\n[watch.options]\nkey = { file = "none" }', "line 4: watch.options.key: no such file"),
        ('source = "s3://b"\n[watch.options]\nkey = { file = "" }', "line 4: watch.options.key: must be text"),
        ('source = "s3://b"\n[watch.options]\nkey = { file = "a", b = 1 }', "line 4: watch.options.key: must be text"),
        ('source = "s3://b"\n[watch.options]\nkey = { value = "a" }', "line 4: watch.options.key: must be text"),
    ],
)
def test_a_mistake_is_named_with_line_and_key(read, text, expected):
    assert f"config.toml {expected}" in refused(read, f"[watch]\n{text}\n")


def test_a_path_with_a_nul_names_no_file(read):
    text = '[watch]\nsource = "s3://b"\n[watch.options]\nkey = { file = "a\\u0000" }\n'
    assert "watch.options.key: must be text" in refused(read, text)


def test_limits_have_defaults(read):
    assert read('[watch]\nsource = "checkpoints"\n').limits == Limits(
        max_checkpoint_bytes=2**40, max_files=10_000, min_free_bytes=None, max_staged_bytes=None
    )


def test_limits_are_taken_as_they_stand(read):
    text = "max_checkpoint_bytes = 1\nmax_files = 100_000\nmin_free_bytes = 0\nmax_staged_bytes = 5\n"
    limits = read(f'[watch]\nsource = "checkpoints"\n{text}').limits
    assert limits == Limits(max_checkpoint_bytes=1, max_files=100_000, min_free_bytes=0, max_staged_bytes=5)


@pytest.mark.parametrize(
    "text", ["max_checkpoint_bytes = 0", "max_files = 100_001", "min_free_bytes = -1", "max_staged_bytes = 0"]
)
def test_a_limit_out_of_range_is_refused(read, text):
    message = refused(read, f'[watch]\nsource = "checkpoints"\n{text}\n')
    assert f"line 3: watch.{text.partition(' ')[0]}: must be a whole number from" in message


def test_the_folder_may_be_absolute(read, tmp_path):
    assert read(f'[watch]\nsource = "{tmp_path}"\n').source == Path(tmp_path)
