"""The filter, run here instruction by instruction as the kernel runs it, for both architectures."""

import errno
import socket

import pytest

from heldout_server.hardening import seccomp
from heldout_server.hardening.seccomp import ARCHITECTURES, REFUSED, X32, compile_filter, restrict_calls

PID = 4711
EPERM, ENOSYS = 0x00050001, 0x00050026
ALLOW, KILL = 0x7FFF0000, 0x80000000
MACHINES = sorted(ARCHITECTURES)
READ, EXECVE, ACCEPT4 = {"x86_64": 0, "aarch64": 63}, {"x86_64": 59, "aarch64": 221}, {"x86_64": 288, "aarch64": 242}
SOCKET, SOCKETPAIR = {"x86_64": 41, "aarch64": 198}, {"x86_64": 53, "aarch64": 199}
TGKILL, PRLIMIT, CLONE = (
    {"x86_64": 234, "aarch64": 131},
    {"x86_64": 302, "aarch64": 261},
    {"x86_64": 56, "aarch64": 220},
)
NEW_USER, NEW_NET, SIGCHLD = 0x10000000, 0x40000000, 17


def decide(machine, number, *arguments, architecture=None):
    """Return what the filter says to a call."""
    words = {0: number, 4: ARCHITECTURES[machine][1] if architecture is None else architecture}
    words |= {16 + 8 * n: value & 0xFFFFFFFF for n, value in enumerate(arguments)}
    program = compile_filter(machine, PID)
    accumulator = at = 0
    while True:
        code, jump_true, jump_false, operand = program[at]
        at += 1
        if code == 0x20:
            accumulator = words[operand]
        elif code == 0x54:
            accumulator &= operand
        elif code == 0x06:
            return operand
        else:
            holds = {0x15: accumulator == operand, 0x35: accumulator >= operand, 0x45: accumulator & operand != 0}[code]
            at += jump_true if holds else jump_false


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_what_no_model_server_needs_is_refused(machine, kind):
    numbers = REFUSED[kind][ARCHITECTURES[machine][0]]
    assert numbers
    assert {decide(machine, number) for number in numbers} == {EPERM}


@pytest.mark.parametrize("machine", MACHINES)
def test_everything_else_is_allowed(machine):
    for number in (READ[machine], EXECVE[machine], ACCEPT4[machine]):
        assert decide(machine, number) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("call", [SOCKET, SOCKETPAIR])
def test_sockets_are_unix_streams_alone(machine, call):
    flags = socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    assert decide(machine, call[machine], socket.AF_UNIX, socket.SOCK_STREAM | flags) == ALLOW
    assert decide(machine, call[machine], socket.AF_UNIX, socket.SOCK_DGRAM) == EPERM
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET, socket.AF_VSOCK):
        assert decide(machine, call[machine], family, socket.SOCK_STREAM) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_a_process_may_end_and_limit_itself_and_no_other(machine):
    assert decide(machine, TGKILL[machine], PID) == ALLOW
    assert decide(machine, TGKILL[machine], PID - 1) == EPERM
    assert decide(machine, PRLIMIT[machine], 0) == ALLOW
    assert decide(machine, PRLIMIT[machine], PID) == ALLOW
    assert decide(machine, PRLIMIT[machine], PID - 1) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_threads_and_children_are_made_without_namespaces(machine):
    assert decide(machine, CLONE[machine], SIGCHLD) == ALLOW
    assert decide(machine, CLONE[machine], NEW_USER | SIGCHLD) == EPERM
    assert decide(machine, CLONE[machine], NEW_NET | SIGCHLD) == EPERM
    assert decide(machine, 435) == ENOSYS  # so that libraries use clone, whose flags can be seen


def test_other_ways_into_the_kernel_are_closed():
    assert decide("x86_64", READ["x86_64"], architecture=0x40000003) == KILL  # 32-bit calls
    assert decide("x86_64", X32 | READ["x86_64"]) == EPERM
    assert decide("aarch64", READ["aarch64"], architecture=0x40000028) == KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_no_number_stands_twice(machine):
    column = ARCHITECTURES[machine][0]
    numbers = [number for both in REFUSED.values() for number in both[column]]
    assert len(numbers) == len(set(numbers))


def test_an_architecture_without_a_table_is_refused(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(OSError, match="riscv64"):
        restrict_calls()


def test_the_kernel_gets_the_whole_program_after_privileges_are_given_up(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    options = []
    monkeypatch.setattr(seccomp, "control_process", lambda option, *_: options.append(option))
    restrict_calls()
    assert options == [seccomp.PR_SET_NO_NEW_PRIVS, seccomp.PR_SET_SECCOMP]


@pytest.mark.parametrize(("said", "known"), [(errno.EFAULT, True), (errno.EINVAL, False), (errno.EPERM, False)])
def test_whether_there_are_filters_is_asked_with_none(monkeypatch, said, known):
    def refuse(*arguments):
        assert arguments[-1] == 0  # no filter that would hold from now on
        raise OSError(said, "refused")

    monkeypatch.setattr(seccomp, "control_process", refuse)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert seccomp.has_filters() is known
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert not seccomp.has_filters()
