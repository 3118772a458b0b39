from heldout_proto.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetTreeHeadRequest(_message.Message):
    __slots__ = ("log",)
    LOG_FIELD_NUMBER: _ClassVar[int]
    log: _options_pb2.Half
    def __init__(self, log: _Optional[_Union[_options_pb2.Half, str]] = ...) -> None: ...

class GetTreeHeadResponse(_message.Message):
    __slots__ = ("checkpoint", "cosigned_checkpoint")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    COSIGNED_CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    checkpoint: str
    cosigned_checkpoint: str
    def __init__(self, checkpoint: _Optional[str] = ..., cosigned_checkpoint: _Optional[str] = ...) -> None: ...

class ListEntriesRequest(_message.Message):
    __slots__ = ("log", "start", "page_size")
    LOG_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    log: _options_pb2.Half
    start: int
    page_size: int
    def __init__(self, log: _Optional[_Union[_options_pb2.Half, str]] = ..., start: _Optional[int] = ..., page_size: _Optional[int] = ...) -> None: ...

class ListEntriesResponse(_message.Message):
    __slots__ = ("entries", "damaged")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedScalarFieldContainer[bytes]
    damaged: _containers.RepeatedCompositeFieldContainer[DamagedLeaf]
    def __init__(self, entries: _Optional[_Iterable[bytes]] = ..., damaged: _Optional[_Iterable[_Union[DamagedLeaf, _Mapping]]] = ...) -> None: ...

class DamagedLeaf(_message.Message):
    __slots__ = ("index", "leaf_hash")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    LEAF_HASH_FIELD_NUMBER: _ClassVar[int]
    index: int
    leaf_hash: bytes
    def __init__(self, index: _Optional[int] = ..., leaf_hash: _Optional[bytes] = ...) -> None: ...

class GetInclusionProofRequest(_message.Message):
    __slots__ = ("log", "index", "tree_size")
    LOG_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    TREE_SIZE_FIELD_NUMBER: _ClassVar[int]
    log: _options_pb2.Half
    index: int
    tree_size: int
    def __init__(self, log: _Optional[_Union[_options_pb2.Half, str]] = ..., index: _Optional[int] = ..., tree_size: _Optional[int] = ...) -> None: ...

class GetInclusionProofResponse(_message.Message):
    __slots__ = ("hashes",)
    HASHES_FIELD_NUMBER: _ClassVar[int]
    hashes: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, hashes: _Optional[_Iterable[bytes]] = ...) -> None: ...

class GetConsistencyProofRequest(_message.Message):
    __slots__ = ("log", "old_size", "new_size")
    LOG_FIELD_NUMBER: _ClassVar[int]
    OLD_SIZE_FIELD_NUMBER: _ClassVar[int]
    NEW_SIZE_FIELD_NUMBER: _ClassVar[int]
    log: _options_pb2.Half
    old_size: int
    new_size: int
    def __init__(self, log: _Optional[_Union[_options_pb2.Half, str]] = ..., old_size: _Optional[int] = ..., new_size: _Optional[int] = ...) -> None: ...

class GetConsistencyProofResponse(_message.Message):
    __slots__ = ("hashes",)
    HASHES_FIELD_NUMBER: _ClassVar[int]
    hashes: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, hashes: _Optional[_Iterable[bytes]] = ...) -> None: ...

class GetPolicyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetPolicyResponse(_message.Message):
    __slots__ = ("release_toml", "authorization_cedar", "policy_digest", "principals_toml")
    RELEASE_TOML_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZATION_CEDAR_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PRINCIPALS_TOML_FIELD_NUMBER: _ClassVar[int]
    release_toml: bytes
    authorization_cedar: bytes
    policy_digest: str
    principals_toml: bytes
    def __init__(self, release_toml: _Optional[bytes] = ..., authorization_cedar: _Optional[bytes] = ..., policy_digest: _Optional[str] = ..., principals_toml: _Optional[bytes] = ...) -> None: ...

class AddCosignatureRequest(_message.Message):
    __slots__ = ("log", "note")
    LOG_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    log: _options_pb2.Half
    note: str
    def __init__(self, log: _Optional[_Union[_options_pb2.Half, str]] = ..., note: _Optional[str] = ...) -> None: ...

class AddCosignatureResponse(_message.Message):
    __slots__ = ("tree_size",)
    TREE_SIZE_FIELD_NUMBER: _ClassVar[int]
    tree_size: int
    def __init__(self, tree_size: _Optional[int] = ...) -> None: ...
