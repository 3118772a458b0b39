"""Text that must not leave does not leave by accident, whatever a careless line of code does with it."""

import copy
import dataclasses
import io
import json
import logging
import marshal
import pickle
import pprint
import reprlib
import traceback
from dataclasses import dataclass

import pytest
import structlog

from heldout_server.domain import Message, SecretText
from heldout_server.errors import HeldoutError, IntegrityError
from heldout_server.sealing import Sealer, context

WORD = "quokkafjordzephyr"
SECRET = SecretText(f"How do I hide the {WORD}?")


@dataclass(frozen=True)
class Row:
    handle: str
    text: SecretText


def logged(text):
    stream = io.StringIO()
    record = logging.LogRecord("careless", logging.ERROR, "", 0, "prompt %s %r", (text, text), _exc_info(text))
    logging.StreamHandler(stream).handle(record)
    return stream.getvalue()


def _exc_info(text):
    return ValueError, ValueError(text), None


def printed(text):
    stream = io.StringIO()
    print(text, [text], file=stream)
    return stream.getvalue()


def fail(prompt):
    raise KeyError(prompt, {"prompt": prompt})


def raised_with_locals(text):
    try:
        fail(text)
    except KeyError as error:
        return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def rendered(text):
    stream = io.StringIO()
    structlog.dev.plain_traceback(stream, (ValueError, ValueError(text), None))
    return stream.getvalue() + structlog.dev.ConsoleRenderer(colors=False)(None, "info", {"event": "x", "text": text})


SHOWN = {
    "repr": repr,
    "str": str,
    "ascii": ascii,
    "format": format,
    "an f-string": lambda text: f"{text}{text!r}{text!s}{text!a}",
    "an f-string with a width": lambda text: f"{text:>40}{text:.30}",
    "str.format": "{0} {0!r} {0:>9}".format,
    "per cent": lambda text: "%s %r %a" % (text, text, text),  # noqa: UP031 - that is what is tried
    "a list, a dict and a set": lambda text: repr([text, {text: text}, {text}]),
    "a dataclass": lambda text: repr(Row("prompt-1", text)) + repr(Message("user", text)),
    "pprint": pprint.pformat,
    "reprlib": reprlib.repr,
    "an exception": lambda text: str(ValueError(text)) + repr(HeldoutError(text)) + str(KeyError(text)),
    "a group of exceptions": lambda text: repr(ExceptionGroup("x", [ValueError(text)])),
    "a note": lambda text: repr(vars(_noted(text))),
    "a log line": logged,
    "print": printed,
    "a traceback with its locals": raised_with_locals,
    "a renderer of log lines": rendered,
    "json, as text": lambda text: json.dumps(text, default=str),
}


def _noted(text):
    error = ValueError("x")
    error.add_note(f"about {text}")
    return error


@pytest.mark.parametrize("way", SHOWN)
def test_what_is_shown_is_redacted(way):
    shown = SHOWN[way](SECRET)
    assert shown
    assert WORD not in shown
    assert WORD not in SHOWN[way](SecretText(WORD))


COPIED = {
    **{f"pickle, protocol {n}": lambda text, n=n: pickle.dumps(text, n) for n in range(pickle.HIGHEST_PROTOCOL + 1)},
    "pickle in a dataclass": lambda text: pickle.dumps(Row("prompt-1", text)),
    "pickle in an exception": lambda text: pickle.dumps(ValueError(text)),
    "marshal": marshal.dumps,
    "json": json.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "asdict": lambda text: dataclasses.asdict(Row("prompt-1", text)),
    "vars": vars,
    "list": list,
    "bytes": bytes,
    "memoryview": memoryview,
    "adding": lambda text: text + "",
    "joining": lambda text: ", ".join(["a", *[text]]),
    "an index": lambda text: text[0],
    "searching": lambda text: WORD in text,
    "int": int,
    "an attribute": lambda text: setattr(text, "more", 1),
}


@pytest.mark.parametrize("way", COPIED)
def test_what_would_copy_it_elsewhere_raises_and_the_error_quotes_nothing(way):
    with pytest.raises((TypeError, AttributeError, ValueError)) as caught:
        COPIED[way](SECRET)
    assert WORD not in "".join(traceback.format_exception(caught.value))
    assert WORD not in repr(vars(caught.value))


def test_the_one_way_to_the_text_is_to_reveal_it():
    assert WORD in SECRET.reveal()
    assert len(SECRET) == len(SECRET.reveal())
    assert SecretText("a") == SecretText("a") != SecretText("b")
    assert SecretText("a") != "a"
    assert hash(SecretText("a")) != hash("a")


def everything_in(error):
    """Return all that hangs on an exception: what caused it, in what context, and every attribute of each."""
    if error is None:
        return ""
    attributes = {name: getattr(error, name) for name in dir(error) if not name.startswith("__")}
    own = "".join(map(repr, (error, error.args, attributes)))
    return own + everything_in(error.__cause__) + everything_in(error.__context__)


@pytest.mark.parametrize("seal", ["seal", "seal_all"])
def test_a_text_that_is_no_unicode_is_refused_by_an_error_that_does_not_hold_it(seal):
    """Python's own error would hold the whole text in an attribute, and show it in its repr."""
    sealer, broken = Sealer(bytes(32)), SecretText(f"{WORD} \ud800")
    with pytest.raises(IntegrityError) as caught:
        sealer.seal(broken, b"") if seal == "seal" else sealer.seal_all([(broken, b"")])
    assert caught.value.reason == "NOT_UNICODE"
    assert WORD not in everything_in(caught.value)


def test_a_sealed_text_that_does_not_open_is_refused_by_an_error_that_does_not_hold_it():
    sealer = Sealer(bytes(32))
    sealed = sealer.seal(SECRET, context("prompt", 1))
    with pytest.raises(IntegrityError) as caught:
        sealer.open(sealed, context("prompt", 2))
    assert WORD not in everything_in(caught.value)
    assert sealer.open(sealed, context("prompt", 1)) == SECRET
