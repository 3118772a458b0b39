"""From what the config says to a source, and what is said where it cannot be one."""

from __future__ import annotations

import sys

import pytest

from heldout_server.checkpoints import FolderSource, open_source
from heldout_server.checkpoints.sources import opening
from heldout_server.checkpoints.sources.objects import ObjectSource
from heldout_server.config.place import Place
from heldout_server.config.watch import Store
from heldout_server.errors import ConfigError

SECRET = "mild-made-up-secret"


def store(url="s3://bucket/lab", **options):
    places = {name: Place("config.toml", 40 + n, f"watch.options.{name}") for n, name in enumerate(options)}
    return Store(url=url, options=options, place=Place("config.toml", 30, "watch.source"), option_places=places)


def refused(of):
    with pytest.raises(ConfigError) as caught:
        open_source(of)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def test_a_path_is_a_folder(tmp_path):
    assert isinstance(open_source(tmp_path), FolderSource)


@pytest.mark.parametrize(
    "of",
    [
        store(region="eu-central-1", secret_access_key=SECRET, access_key_id="k", allow_http=True, timeout="9s"),
        store("gs://bucket/lab"),
        store("az://container/lab", account_name="lab", account_key="bWlsZA=="),
        store("abfss://container@lab.dfs.core.windows.net/prefix"),
        store("https://models.example/lab", connect_timeout="1s"),
        store("http://models.example/lab", allow_http=True),
    ],
)
def test_a_url_is_a_store_of_its_kind(of):
    assert isinstance(open_source(of), ObjectSource)


def test_a_secret_comes_from_its_file_and_is_shown_nowhere(tmp_path, monkeypatch):
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    taken = {}
    monkeypatch.setattr(
        "heldout_server.checkpoints.sources.objects.connect", lambda _store, options: taken.update(options)
    )
    of = store(secret_access_key=tmp_path / "secret", region="r")
    open_source(of)
    assert taken == {"secret_access_key": SECRET, "region": "r"}
    assert SECRET not in repr(of)


def test_an_option_that_the_store_does_not_know_is_named_on_its_line():
    assert refused(store(region="r", regoin="r")).startswith(
        "config.toml line 41: watch.options.regoin: this store knows no such option\n"
    )


@pytest.mark.parametrize(
    "of",
    [
        store(skip_signature=SECRET),
        store(timeout=SECRET),
        store("az://container/lab"),
        store("https://models.example/lab", region="r"),
    ],
)
def test_an_option_that_does_not_fit_is_reported_without_its_value(of):
    assert refused(of).startswith("config.toml line 30: watch.source: the store cannot be set up: an option is missing")


@pytest.mark.parametrize(
    ("content", "problem"), [(b"\xff", "is not UTF-8 text"), (b"x" * 9, "is too large"), (None, "cannot be read")]
)
def test_a_file_that_holds_no_secret_is_named_by_its_option(tmp_path, monkeypatch, content, problem):
    monkeypatch.setattr(opening, "MAX_SECRET_BYTES", 8)
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    expected = f"config.toml line 40: watch.options.secret_access_key: its file {problem}"
    assert refused(store(secret_access_key=tmp_path / "secret")).startswith(expected)


def test_without_its_package_a_store_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "heldout_server.checkpoints.sources.objects", raising=False)
    monkeypatch.setitem(sys.modules, "obstore", None)
    assert refused(store()) == (
        "config.toml line 30: watch.source: a store's URL needs the package obstore\n"
        '  install "heldout[stores]", or name a folder'
    )
