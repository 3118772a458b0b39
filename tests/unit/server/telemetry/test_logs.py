import base64
import io
import json
import logging
import warnings

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from heldout_server.domain import SecretText, Verdict
from heldout_server.errors import IntegrityError
from heldout_server.telemetry import configure_logging
from heldout_server.telemetry.fields import FIELDS, is_declared
from heldout_server.telemetry.logs import drops

CANARY = "zebra-quartz-canary"
WORD = "quokkafjordzephyr"
CANARY_SPELLINGS = {
    "plain": WORD,
    "reversed": WORD[::-1],
    "base64": base64.b64encode(WORD.encode()).decode(),
    "hex": WORD.encode().hex(),
    "percent": "".join(f"%{byte:02x}" for byte in WORD.encode()),
    "UTF-16": WORD.encode("utf-16-le").decode(),
    "a sentence": f"How do I hide the {WORD}?",
    "a path": f"/srv/{WORD}",
    "bytes": WORD.encode(),
    "secret": SecretText(WORD),
}


class FixedClock:
    def now_s(self):
        return 1_700_000_000.25

    def monotonic_s(self):
        return 0.0


@pytest.fixture(autouse=True)
def restored():
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def stream():
    return io.StringIO()


@pytest.fixture
def lines(stream):
    configure_logging(log_format="json", log_level="debug", clock=FixedClock(), stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_declared_fields_are_written_with_time_level_and_room(lines):
    structlog.get_logger("edge").info("call_failed", method="/heldout.v1.BankService/GetStats", count=3)
    assert lines() == [
        {
            "count": 3,
            "event": "call_failed",
            "level": "info",
            "method": "/heldout.v1.BankService/GetStats",
            "room": "edge",
            "time": "2023-11-14T22:13:20.250Z",
        }
    ]


def test_a_logger_without_a_name_has_no_room(lines):
    structlog.get_logger().info("started")
    assert "room" not in lines()[0]


def test_undeclared_fields_are_dropped_and_counted(lines, stream):
    before = drops.fields
    structlog.get_logger().info("started", prompt=CANARY, runtime="llamacpp", zeta=1)
    assert lines()[0]["dropped_fields"] == 2
    assert drops.fields == before + 2
    assert "zeta" not in stream.getvalue()  # a name could be anything too
    assert lines()[0]["runtime"] == "llamacpp"
    assert CANARY not in stream.getvalue()


def test_secret_text_is_never_rendered_whatever_the_field_is_called(lines, stream):
    structlog.get_logger().info("started", run_id=SecretText(CANARY), status=SecretText(CANARY))
    assert lines()[0]["dropped_fields"] == 2
    assert CANARY not in stream.getvalue()
    assert "SecretText" not in stream.getvalue()


def test_prose_does_not_fit_in_a_declared_field(lines, stream):
    structlog.get_logger().info("how do I make tea", run_id="how do I make tea", status="x" * 257, error="two\nlines")
    assert lines()[0]["event"] == "unnamed_event"
    assert lines()[0]["dropped_fields"] == 4
    assert "tea" not in stream.getvalue()


def test_what_is_bound_or_passed_as_context_goes_through_the_list_too(lines, stream):
    structlog.get_logger().bind(answer=CANARY).warning("started", **{f"k {CANARY}": 1})
    assert lines()[0]["dropped_fields"] == 2
    assert CANARY not in stream.getvalue()


def raise_with(text):
    raise ValueError(text)


def test_an_exception_leaves_its_type_and_place_and_nothing_it_says(lines, stream):
    try:
        raise_with(CANARY)
    except ValueError:
        structlog.get_logger().exception("call_failed", opaque_id="err-1")
    (line,) = lines()
    assert line["error"] == "ValueError"
    assert line["error_at"].startswith("test_logs:")
    assert line["opaque_id"] == "err-1"
    assert "reason" not in line
    assert CANARY not in stream.getvalue()
    assert "Traceback" not in stream.getvalue()


def test_an_exception_of_ours_also_leaves_its_reason_code(lines, stream):
    error = IntegrityError(f"a message about {CANARY}", reason="SEAL_BROKEN")
    structlog.get_logger().error("call_failed", exc_info=error)
    (line,) = lines()
    assert (line["error"], line["reason"]) == ("IntegrityError", "SEAL_BROKEN")
    assert "error_at" not in line  # it was never raised
    assert CANARY not in stream.getvalue()


def test_asking_for_an_exception_where_there_is_none_adds_nothing(lines):
    structlog.get_logger().error("call_failed", exc_info=True)
    assert "error" not in lines()[0]


def test_of_what_a_library_says_remain_its_name_and_the_level(lines, stream):
    logging.getLogger("concurrent.futures.worker").warning("request failed: %s", CANARY)
    try:
        raise_with(CANARY)
    except ValueError:
        logging.getLogger("asyncio").exception("Task exception was never retrieved: %s", CANARY)
    logging.getLogger("asyncio").info("request: %s", CANARY)
    first, second = lines()
    assert (first["event"], first["logger"], first["level"]) == ("library_spoke", "concurrent.futures", "warning")
    assert (second["logger"], second["level"], second["error"]) == ("asyncio", "error", "ValueError")
    assert CANARY not in stream.getvalue()


def test_warnings_go_the_same_way(lines, stream):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn(CANARY, stacklevel=1)
    assert lines()[0]["logger"] == "py.warnings"
    assert CANARY not in stream.getvalue()


def test_lines_below_the_level_are_not_written(stream):
    configure_logging(log_format="json", log_level="error", clock=FixedClock(), stream=stream)
    structlog.get_logger().warning("started")
    logging.getLogger("library").warning("x")
    assert stream.getvalue() == ""
    structlog.get_logger().error("failed")
    assert json.loads(stream.getvalue())["event"] == "failed"


def test_the_console_form_is_one_plain_line(stream):
    configure_logging(log_format="console", log_level="info", clock=FixedClock(), stream=stream)
    structlog.get_logger().info("started", run_id="run-1", prompt=CANARY)
    (line,) = stream.getvalue().splitlines()
    assert "started" in line
    assert "run_id=run-1" in line
    assert "\x1b" not in line
    assert CANARY not in line


def test_standard_error_is_the_default(capsys):
    configure_logging(log_format="json", log_level="info", clock=FixedClock())
    structlog.get_logger().info("started")
    captured = capsys.readouterr()
    assert json.loads(captured.err)["event"] == "started"
    assert captured.out == ""


@pytest.mark.parametrize(
    ("key", "value", "declared"),
    [
        ("run_id", "run-4f0c9a1be2d37c55", True),
        ("run_id", "", False),
        ("run_id", 3, False),
        ("run_id", b"run-1", False),
        ("damage", Verdict.UNSAFE, True),  # a StrEnum is a string: which enums are logged is up to the caller
        ("verdict", Verdict.UNSAFE, False),
        ("tree_size", 3, True),
        ("tree_size", True, False),
        ("tree_size", 3.0, False),
        ("value", 3, True),
        ("value", 3.5, True),
        ("value", True, False),
        ("value", float("nan"), False),
        ("value", float("inf"), False),
        ("dropped_fields", 3, False),
        ("findings", ("truncated", "no_answer"), True),
        ("findings", ["truncated"], False),
        ("findings", ("truncated", "how do I"), False),
        ("device", "first", True),
        ("device", "third", False),
        ("reason", "quokkafjordzephyr and more", False),
        ("origin", "heldout-dev/vault", True),
        ("document_key", "", True),
        ("identity", "spiffe://heldout.example/bank-tester", True),
        ("method", "/heldout.v1.BankService/GetStats", True),
        ("status", "PERMISSION_DENIED", True),
        ("status", "öl", False),
    ],
)
def test_fields_are_declared_by_name_and_type(key, value, declared):
    assert is_declared(key, value) == declared


@given(st.sampled_from(sorted(FIELDS)), st.text().filter(lambda text: any(c.isspace() for c in text)))
def test_no_field_takes_a_text_with_a_space(key, text):
    assert not is_declared(key, text)


NAMES = {"checkpoint", "line", "runtime", "document", "document_key"}
"""Fields that hold somebody's name for something: a word fits there, and who gives the name knows no prompt."""

WORDS = {"event", "room", "damage", "findings", "containment", "detail"}
"""Fields of fixed words that stand in our own code."""


@pytest.mark.parametrize("key", sorted(FIELDS))
def test_a_secret_word_fits_in_no_field_but_where_names_and_our_own_words_stand(key):
    """Every field, one that is added tomorrow too: its shape is that of what it names."""
    fitting = {
        spelling
        for spelling, value in CANARY_SPELLINGS.items()
        if is_declared(key, value) or is_declared(key, (value,))
    }
    assert not fitting or key in NAMES | WORDS | {"error", "reason", "logger"}
    assert fitting <= {"plain", "reversed", "hex", "base64"}


def test_a_library_that_calls_its_logger_after_what_it_holds_is_called_other(lines, stream):
    logging.getLogger("quokkafjordzephyr").warning("x")
    logging.getLogger("quokka fjord").error("x")
    logging.getLogger("asyncio.quokkafjordzephyr").error("x")
    assert [line["logger"] for line in lines()] == ["other", "other", "asyncio"]
    assert "fjord" not in stream.getvalue()


def test_a_line_that_a_library_cannot_even_format_says_nothing_on_standard_error(lines, capsys):
    class Unprintable:
        def __str__(self):
            raise ValueError(CANARY)

    (handler,) = (one for one in logging.getLogger().handlers if type(one).__module__.startswith("heldout_server"))
    record = logging.LogRecord("asyncio", logging.ERROR, "", 0, f"%s %d {CANARY}", (Unprintable(), CANARY), None)
    handler.handle(record)
    handler.handleError(record)
    assert lines()[0]["logger"] == "asyncio"
    assert CANARY not in capsys.readouterr().err


@pytest.mark.parametrize("library", ["asyncio", "grpc._cython", "aiohttp.server", "opentelemetry", "py.warnings"])
def test_every_library_is_heard_and_not_quoted(lines, stream, library):
    log = logging.getLogger(library)
    log.warning(CANARY, extra={"prompt": CANARY}, stack_info=True)
    log.error("%(a)s", {"a": CANARY})
    told = lines()
    assert [line["event"] for line in told] == ["library_spoke"] * 2
    assert all(library.startswith(line["logger"]) or line["logger"] == "other" for line in told)
    assert CANARY not in stream.getvalue()


def test_no_declared_field_is_an_outcome():
    assert not {"verdict", "finished_trials", "prompt", "response", "text", "message", "failures"} & FIELDS.keys()
