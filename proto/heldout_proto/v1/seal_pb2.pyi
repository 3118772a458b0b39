from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SealState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEAL_STATE_UNSPECIFIED: _ClassVar[SealState]
    SEAL_STATE_SEALED: _ClassVar[SealState]
    SEAL_STATE_OPEN: _ClassVar[SealState]

class KeyProvider(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KEY_PROVIDER_UNSPECIFIED: _ClassVar[KeyProvider]
    KEY_PROVIDER_FILE: _ClassVar[KeyProvider]
    KEY_PROVIDER_SHAMIR: _ClassVar[KeyProvider]
SEAL_STATE_UNSPECIFIED: SealState
SEAL_STATE_SEALED: SealState
SEAL_STATE_OPEN: SealState
KEY_PROVIDER_UNSPECIFIED: KeyProvider
KEY_PROVIDER_FILE: KeyProvider
KEY_PROVIDER_SHAMIR: KeyProvider

class SealStatus(_message.Message):
    __slots__ = ("state", "provider", "share_set", "shares", "threshold", "given_by")
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    SHARE_SET_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    GIVEN_BY_FIELD_NUMBER: _ClassVar[int]
    state: SealState
    provider: KeyProvider
    share_set: str
    shares: int
    threshold: int
    given_by: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, state: _Optional[_Union[SealState, str]] = ..., provider: _Optional[_Union[KeyProvider, str]] = ..., share_set: _Optional[str] = ..., shares: _Optional[int] = ..., threshold: _Optional[int] = ..., given_by: _Optional[_Iterable[str]] = ...) -> None: ...

class GetSealStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetSealStatusResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: SealStatus
    def __init__(self, status: _Optional[_Union[SealStatus, _Mapping]] = ...) -> None: ...

class GiveShareRequest(_message.Message):
    __slots__ = ("share_set", "number", "share")
    SHARE_SET_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    share_set: str
    number: int
    share: bytes
    def __init__(self, share_set: _Optional[str] = ..., number: _Optional[int] = ..., share: _Optional[bytes] = ...) -> None: ...

class GiveShareResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: SealStatus
    def __init__(self, status: _Optional[_Union[SealStatus, _Mapping]] = ...) -> None: ...

class SealRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SealResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: SealStatus
    def __init__(self, status: _Optional[_Union[SealStatus, _Mapping]] = ...) -> None: ...
