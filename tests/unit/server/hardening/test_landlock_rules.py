"""What is asked of the kernel by version of its interface; that it does it is in ``test_hostile_child.py``."""

import ctypes
import errno
import os
import struct
from pathlib import Path

import pytest

from heldout_server.hardening import kernel, landlock
from heldout_server.hardening.landlock import Access, landlock_version, restrict_files


class FakeKernel:
    """Take the calls as a kernel of some version would."""

    def __init__(self, version):
        self.version = version
        self.handled = ()
        self.rules = {}
        self.restricted = False

    def syscall(self, number, *arguments):
        if not self.version:
            raise OSError(errno.ENOSYS, "no Landlock")
        if number == landlock.CREATE_RULESET and arguments[2] == landlock.ASK_VERSION:
            return self.version
        if number == landlock.CREATE_RULESET:
            content = ctypes.string_at(arguments[0], arguments[1])
            self.handled = struct.unpack(f"={len(content) // 8}Q", content)
            return os.open(os.devnull, os.O_RDONLY)
        if number == landlock.ADD_RULE:
            access, descriptor = struct.unpack("=Qi", ctypes.string_at(arguments[2], 12))
            self.rules[str(Path(f"/proc/self/fd/{descriptor}").readlink())] = Access(access)
            return 0
        self.restricted = True
        return 0


@pytest.fixture
def on(monkeypatch):
    def make(version):
        fake = FakeKernel(version)
        monkeypatch.setattr(landlock, "syscall", fake.syscall)
        monkeypatch.setattr(landlock, "control_process", lambda *_: 0)
        return fake

    return make


@pytest.mark.parametrize(
    ("version", "handled"),
    [
        (1, (0x1FFF,)),
        (2, (0x3FFF,)),
        (3, (0x7FFF,)),
        (4, (0x7FFF, 3)),
        (5, (0xFFFF, 3)),
        (6, (0xFFFF, 3, 3)),
        (9, (0xFFFF, 3, 3)),
    ],
)
def test_everything_that_a_version_knows_is_taken_away(on, tmp_path, version, handled):
    fake = on(version)
    assert restrict_files([(tmp_path, Access.READ)]) == landlock_version() == version
    assert fake.handled == handled
    assert fake.rules == {str(tmp_path): Access.READ}
    assert fake.restricted


def test_a_file_is_granted_what_a_file_can_have_and_what_is_missing_nothing(on, tmp_path):
    fake = on(7)
    model = tmp_path / "model"
    model.touch()
    restrict_files([(model, Access.READ | Access.MAKE_SOCK), (tmp_path / "nowhere", Access.READ)])
    assert fake.rules == {str(model): Access.READ_FILE}


def test_without_landlock_there_is_no_version_and_an_error(on, tmp_path):
    fake = on(0)
    assert landlock_version() == 0
    with pytest.raises(OSError, match="no Landlock"):
        restrict_files([(tmp_path, Access.READ)])
    assert not fake.restricted


def test_what_the_kernel_refuses_is_an_error():
    with pytest.raises(OSError, match="Invalid argument"):
        kernel.syscall(landlock.CREATE_RULESET, 0, 0, 2**30)
    with pytest.raises(OSError, match="Invalid argument"):
        kernel.control_process(2**20)
