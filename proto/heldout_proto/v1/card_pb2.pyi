from heldout_proto.v1 import bank_pb2 as _bank_pb2
from heldout_proto.v1 import findings_pb2 as _findings_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CardState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CARD_STATE_UNSPECIFIED: _ClassVar[CardState]
    CARD_STATE_PROPOSED: _ClassVar[CardState]
    CARD_STATE_APPROVED: _ClassVar[CardState]
    CARD_STATE_REFUSED: _ClassVar[CardState]
    CARD_STATE_WITHDRAWN: _ClassVar[CardState]
    CARD_STATE_WITHHELD: _ClassVar[CardState]
CARD_STATE_UNSPECIFIED: CardState
CARD_STATE_PROPOSED: CardState
CARD_STATE_APPROVED: CardState
CARD_STATE_REFUSED: CardState
CARD_STATE_WITHDRAWN: CardState
CARD_STATE_WITHHELD: CardState

class CardRecord(_message.Message):
    __slots__ = ("card", "state", "proposed_s")
    CARD_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROPOSED_S_FIELD_NUMBER: _ClassVar[int]
    card: _findings_pb2.Card
    state: CardState
    proposed_s: int
    def __init__(self, card: _Optional[_Union[_findings_pb2.Card, _Mapping]] = ..., state: _Optional[_Union[CardState, str]] = ..., proposed_s: _Optional[int] = ...) -> None: ...

class ProposeCardRequest(_message.Message):
    __slots__ = ("technique", "title", "mechanism", "references", "mitigation")
    TECHNIQUE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    MECHANISM_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    MITIGATION_FIELD_NUMBER: _ClassVar[int]
    technique: str
    title: str
    mechanism: str
    references: _containers.RepeatedScalarFieldContainer[str]
    mitigation: str
    def __init__(self, technique: _Optional[str] = ..., title: _Optional[str] = ..., mechanism: _Optional[str] = ..., references: _Optional[_Iterable[str]] = ..., mitigation: _Optional[str] = ...) -> None: ...

class ProposeCardResponse(_message.Message):
    __slots__ = ("card", "hits")
    CARD_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    card: CardRecord
    hits: _containers.RepeatedCompositeFieldContainer[_bank_pb2.CardHit]
    def __init__(self, card: _Optional[_Union[CardRecord, _Mapping]] = ..., hits: _Optional[_Iterable[_Union[_bank_pb2.CardHit, _Mapping]]] = ...) -> None: ...

class ListCardRecordsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListCardRecordsResponse(_message.Message):
    __slots__ = ("cards", "next_page_token")
    CARDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    cards: _containers.RepeatedCompositeFieldContainer[CardRecord]
    next_page_token: str
    def __init__(self, cards: _Optional[_Iterable[_Union[CardRecord, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetCardRecordRequest(_message.Message):
    __slots__ = ("technique",)
    TECHNIQUE_FIELD_NUMBER: _ClassVar[int]
    technique: str
    def __init__(self, technique: _Optional[str] = ...) -> None: ...

class GetCardRecordResponse(_message.Message):
    __slots__ = ("card",)
    CARD_FIELD_NUMBER: _ClassVar[int]
    card: CardRecord
    def __init__(self, card: _Optional[_Union[CardRecord, _Mapping]] = ...) -> None: ...

class ApproveCardRequest(_message.Message):
    __slots__ = ("technique", "digest")
    TECHNIQUE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    technique: str
    digest: str
    def __init__(self, technique: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class ApproveCardResponse(_message.Message):
    __slots__ = ("card",)
    CARD_FIELD_NUMBER: _ClassVar[int]
    card: CardRecord
    def __init__(self, card: _Optional[_Union[CardRecord, _Mapping]] = ...) -> None: ...

class RefuseCardRequest(_message.Message):
    __slots__ = ("technique", "digest")
    TECHNIQUE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    technique: str
    digest: str
    def __init__(self, technique: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class RefuseCardResponse(_message.Message):
    __slots__ = ("card",)
    CARD_FIELD_NUMBER: _ClassVar[int]
    card: CardRecord
    def __init__(self, card: _Optional[_Union[CardRecord, _Mapping]] = ...) -> None: ...

class WithdrawCardRequest(_message.Message):
    __slots__ = ("technique",)
    TECHNIQUE_FIELD_NUMBER: _ClassVar[int]
    technique: str
    def __init__(self, technique: _Optional[str] = ...) -> None: ...

class WithdrawCardResponse(_message.Message):
    __slots__ = ("card",)
    CARD_FIELD_NUMBER: _ClassVar[int]
    card: CardRecord
    def __init__(self, card: _Optional[_Union[CardRecord, _Mapping]] = ...) -> None: ...
