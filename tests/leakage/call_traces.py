"""Calls that are generated from the contract's descriptors: every method, every field, good values and bad ones.

Nothing here names a service, a method or a field: what is added to the contract is called too. Values are drawn by the
type of their field, from what its rules allow and from what they do not, and from what earlier answers held.

A call is made by a function that chooses one of several options: a seeded generator in a long trace, hypothesis in a
short one, which then finds the simplest trace that still fails. The first option is the simplest.
"""

from dataclasses import dataclass
from importlib import resources

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from protovalidate import Validator

from heldout_policy.authorization import Authorization
from heldout_server.api.contract import methods
from heldout_server.domain import Role

METHODS = methods()
OTHERS = tuple(role.value for role in Role if role is not Role.BANK_TESTER)
"""Every role but the one that the boundary is there for."""

_RULES = Authorization.parse(resources.files("heldout_policy").joinpath("defaults/authorization.cedar").read_text())
ALLOWED = tuple(
    (role, name)
    for role in OTHERS
    for name in METHODS
    if _RULES.decide(identity="spiffe://probe/x", role=role, method=name).allowed
)
"""Who may call what, by the rules that are shipped."""

UNKNOWN = "/heldout.v1.BankService/DumpEverything"

MOST_SEEN = 40
NEAR = 4
"""So many of the first options, which were seen under the field's own name, are chosen more often than the others."""

DEPTH = 4
COUNTS = (0, 1, 0, 2, 3)
TEXTS = (
    "plain",
    "",
    "0",
    "1",
    "persona",
    "f" * 64,
    "Two Words",
    "a\x00b\x1b[m\n",
    "\u202eé'; --",
    "a" * 65,
    "b" * 70_000,
)
BYTES = (b"", b"a", b"\x00\xff", b"c" * 5_000)
REALS = (0.0, 1.0, -1.5, float("inf"), float("nan"))
INTEGERS = (0, 1, 2, 3, 10, 100, 1_000, -1, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), 2**64 - 1)
MALFORMED = (b"", b"\xff" * 11, b"\x0a\x7fabc", b"\x0d\x01\x02\x03\x04", b"\x0a\x02\xc3\x28", b"\xfa\x3f\x01a")

_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_VALIDATOR = Validator()
_fitting = {}


@dataclass(frozen=True, kw_only=True)
class Call:
    """Hold one call: who, what, and the messages."""

    role: str
    method: str
    requests: tuple[bytes, ...]

    def __str__(self):
        return f"{self.role} calls {self.method} with {', '.join(map(_short, self.requests)) or 'no message'}"


class Seen:
    """Hold what answers held so far, by the name of its field: who asks knows what was answered before."""

    def __init__(self, before=None):
        self._by_name = {} if before is None else {name: list(values) for name, values in before._by_name.items()}

    def learn(self, method, bodies):
        """Take what the answers of a method hold."""
        if method not in METHODS:
            return
        for body in bodies:
            message = message_factory.GetMessageClass(METHODS[method].response)()
            try:
                message.ParseFromString(body)
            except DecodeError:
                continue
            self._walk(message)

    def add(self, name, value):
        """Take one value of a field's name."""
        values = self._by_name.setdefault(name, [])
        if value in values or value in ("", b""):
            return
        values.append(value)
        if len(values) > MOST_SEEN:
            del values[MOST_SEEN // 4]  # the first stay, and the newest

    def of(self, field, kinds):
        """Return what was seen in fields of a name, newest first, that has one of the types."""
        for name, values in self._by_name.items():
            if name == field.name or name == field.name.removesuffix("s") or name.endswith(f"_{field.name}"):
                yield from (value for value in reversed(values) if isinstance(value, kinds))

    def all(self, kinds):
        """Return what was seen in any field that has one of the types."""
        return [value for values in self._by_name.values() for value in values[-3:] if isinstance(value, kinds)]

    def _walk(self, message):
        for field, value in message.ListFields():
            for one in value if field.is_repeated else (value,):
                if field.message_type is not None:
                    self._walk(one)
                elif field.enum_type is None and not isinstance(one, bool | float):
                    self.add(field.name, one)
                    if field.number == 1:  # what names a thing: others refer to it by the name of its type
                        self.add(message.DESCRIPTOR.name.lower(), one)


def make_call(choose, seen):
    """Choose a call: mostly one that its caller may make, mostly of requests that hold the contract's rules."""
    role, method = choose(ALLOWED) if choose((True, True, True, False)) else (choose(OTHERS), choose(tuple(METHODS)))
    kind = choose(("valid",) * 6 + ("drawn",) * 2 + ("malformed", "unknown"))
    if kind == "unknown":
        return Call(role=role, method=UNKNOWN, requests=(choose(MALFORMED),))
    several = METHODS[method].shape.startswith("stream")
    requests = []
    for _ in range(choose(COUNTS) if several else 1):
        if kind == "malformed":
            requests.append(choose(MALFORMED))
        else:
            message = make_message(METHODS[method].request, choose, seen, valid=kind == "valid")
            requests.append(message.SerializeToString())
    return Call(role=role, method=method, requests=tuple(requests))


def make_message(descriptor, choose, seen, *, valid, depth=DEPTH):
    """Choose a message of a type: one that holds the rules, often with no more than they ask for, or whatever comes."""
    message = message_factory.GetMessageClass(descriptor)()
    sparse = valid and choose((True, False))
    for field in () if sparse else descriptor.fields:
        _set(message, field, choose, seen, valid=valid, depth=depth)
    if valid:
        _mend(message, choose, seen, depth=depth)
    return message


def _set(message, field, choose, seen, *, valid, depth):
    count = choose(COUNTS) if field.is_repeated else choose((1, 1, 1, 0))
    if count == 0 or depth == 0:
        return
    if field.message_type is not None:
        made = [make_message(field.message_type, choose, seen, valid=valid, depth=depth - 1) for _ in range(count)]
        _put(message, field, made)
    else:
        _put(message, field, [_value(field, choose, seen) for _ in range(count)])


def _value(field, choose, seen):
    options = _options(field, seen)
    return choose(choose((options[:NEAR], options[:NEAR], options)))


def _options(field, seen):
    """Return values of a field's type, what was seen under its name first."""
    kind = field.cpp_type
    if field.enum_type is not None:
        return [*field.enum_type.values_by_number, max(field.enum_type.values_by_number) + 1]
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return [False, True]
    if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return list(REALS)
    if kind == FieldDescriptor.CPPTYPE_STRING and field.type == FieldDescriptor.TYPE_BYTES:
        return [*seen.of(field, bytes), *BYTES, *seen.all(bytes)]
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return [*seen.of(field, str), *TEXTS, *seen.all(str)]
    least, most = _RANGES[kind]
    known = [*seen.of(field, int), *INTEGERS, *seen.all(int)]
    return [value for value in known if least <= value <= most]


def _mend(message, choose, seen, *, depth):
    """Choose anew what breaks a rule, field by field."""
    for name in sorted(_broken(message)):
        field = message.DESCRIPTOR.fields_by_name[name]
        message.ClearField(name)
        if field.message_type is not None:
            if depth > 0:
                made = [make_message(field.message_type, choose, seen, valid=True, depth=depth - 1)]
                _put(message, field, made)
            continue
        fitting = [value for value in _options(field, seen) if _least_count(field, value) > 0]
        if fitting:
            value = choose(choose((fitting[:NEAR], fitting)))
            _put(message, field, [value] * _least_count(field, value))


def _least_count(field, value):
    """Return how many of a value a field takes at least; 0 where it takes none."""
    key = (field.full_name, value)
    if key not in _fitting:
        _fitting[key] = 0
        for count in (1, 2, 3) if field.is_repeated else (1,):
            message = message_factory.GetMessageClass(field.containing_type)()
            _put(message, field, [value] * count)
            if field.name not in _broken(message):
                _fitting[key] = count
                break
    return _fitting[key]


def _broken(message):
    """Return the names of the message's own fields in which a rule is broken."""
    return {violation.proto.field.elements[0].field_name for violation in _VALIDATOR.collect_violations(message)}


def _put(message, field, values):
    if field.is_repeated and field.message_type is not None:
        for value in values:
            getattr(message, field.name).add().CopyFrom(value)
    elif field.is_repeated:
        getattr(message, field.name).extend(values)
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(values[0])
    else:
        setattr(message, field.name, values[0])


def _short(request):
    return repr(request if len(request) <= 60 else request[:60] + b"...")
