from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Disclosure(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DISCLOSURE_UNSPECIFIED: _ClassVar[Disclosure]
    DISCLOSURE_ENUM: _ClassVar[Disclosure]
    DISCLOSURE_IDENTIFIER: _ClassVar[Disclosure]
    DISCLOSURE_NOISED: _ClassVar[Disclosure]
    DISCLOSURE_PUBLIC_META: _ClassVar[Disclosure]
    DISCLOSURE_APPROVED_TEXT: _ClassVar[Disclosure]
    DISCLOSURE_TIME_BUCKET: _ClassVar[Disclosure]
    DISCLOSURE_PROOF: _ClassVar[Disclosure]

class Half(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HALF_UNSPECIFIED: _ClassVar[Half]
    HALF_VAULT: _ClassVar[Half]
    HALF_WINDOW: _ClassVar[Half]
DISCLOSURE_UNSPECIFIED: Disclosure
DISCLOSURE_ENUM: Disclosure
DISCLOSURE_IDENTIFIER: Disclosure
DISCLOSURE_NOISED: Disclosure
DISCLOSURE_PUBLIC_META: Disclosure
DISCLOSURE_APPROVED_TEXT: Disclosure
DISCLOSURE_TIME_BUCKET: Disclosure
DISCLOSURE_PROOF: Disclosure
HALF_UNSPECIFIED: Half
HALF_VAULT: Half
HALF_WINDOW: Half
DISCLOSURE_FIELD_NUMBER: _ClassVar[int]
disclosure: _descriptor.FieldDescriptor
RPC_FIELD_NUMBER: _ClassVar[int]
rpc: _descriptor.FieldDescriptor

class Rpc(_message.Message):
    __slots__ = ("deadline_ms", "half")
    DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    HALF_FIELD_NUMBER: _ClassVar[int]
    deadline_ms: int
    half: Half
    def __init__(self, deadline_ms: _Optional[int] = ..., half: _Optional[_Union[Half, str]] = ...) -> None: ...
