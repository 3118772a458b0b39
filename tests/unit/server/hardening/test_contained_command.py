"""The launcher: what it grants, and that it starts nothing which is less contained than was asked for."""

import resource
import sys
from pathlib import Path

import pytest

from heldout_server.hardening import contained
from heldout_server.hardening.contained import MISPLACED, REFUSED, grants, main
from heldout_server.hardening.landlock import Access


class Started(Exception):
    """Say that the command was started."""


@pytest.fixture
def system(monkeypatch):
    """Stand in for the kernel, which would contain the tests' own process for good."""

    def make(*, landlock=True, seccomp=True):
        def refuse_unless(there, value):
            def do(*_):
                if not there:
                    raise OSError
                return value

            return do

        def start(_path, arguments):
            raise Started(*arguments)

        monkeypatch.setattr("resource.setrlimit", lambda *_: None)
        monkeypatch.setattr("os.execv", start)
        monkeypatch.setattr(contained, "control_process", lambda *_: 0)
        monkeypatch.setattr(contained, "end_with_parent", lambda: None)
        monkeypatch.setattr(contained, "drop_capabilities", lambda: None)
        monkeypatch.setattr(contained, "restrict_files", refuse_unless(landlock, 7))
        monkeypatch.setattr(contained, "restrict_calls", refuse_unless(seccomp, None))

    return make


def test_libraries_are_read_sockets_are_made_and_nothing_is_written(tmp_path):
    granted = dict(grants(readable=[tmp_path / "model"], sockets=tmp_path / "run"))
    assert granted[tmp_path / "model"] == Access.READ
    assert granted[tmp_path / "run"] == Access.MAKE_SOCK
    assert [path for path, access in granted.items() if access & Access.WRITE_FILE] == [Path("/dev/null")]
    assert not {Path("/"), Path("/proc"), Path("/tmp"), Path("/home"), Path("/etc")} & granted.keys()  # noqa: S108 - not used


def test_a_command_is_started_once_it_is_contained(system, tmp_path):
    system()
    with pytest.raises(Started) as started:
        main(["--required", "--sockets", str(tmp_path), "--", "-m", "server", "--until-eof"])
    assert started.value.args == (sys.executable, "-I", "-m", "server", "--until-eof")


@pytest.mark.parametrize("missing", ["landlock", "seccomp"])
def test_where_containment_is_required_and_incomplete_nothing_is_started(system, tmp_path, missing):
    system(**{missing: False})
    assert main(["--required", "--sockets", str(tmp_path), "--", "-c", "pass"]) == REFUSED


@pytest.mark.parametrize(
    ("system_has", "held"),
    [
        ({}, "no_privileges landlock_7 seccomp"),
        ({"landlock": False}, "no_privileges seccomp"),
        ({"landlock": False, "seccomp": False}, "no_privileges"),
    ],
)
def test_a_probe_says_what_holds(system, tmp_path, capsys, system_has, held):
    system(**system_has)
    assert main(["--probe", "--sockets", str(tmp_path)]) == 0
    assert capsys.readouterr().out == held


def test_modules_above_the_run_folder_are_not_granted(system, tmp_path, monkeypatch):
    system()
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    assert main(["--sockets", str(tmp_path / "run"), "--", "-c", "pass"]) == MISPLACED


def test_limits_leave_no_core_dump_and_no_byte_in_a_file():
    assert {resource.RLIMIT_CORE, resource.RLIMIT_FSIZE} <= set(contained.LIMITS)
