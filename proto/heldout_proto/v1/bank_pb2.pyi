from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Intent(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INTENT_UNSPECIFIED: _ClassVar[Intent]
    INTENT_HARMFUL: _ClassVar[Intent]
    INTENT_BENIGN: _ClassVar[Intent]

class GapChange(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GAP_CHANGE_UNSPECIFIED: _ClassVar[GapChange]
    GAP_CHANGE_NEW: _ClassVar[GapChange]
    GAP_CHANGE_STAY: _ClassVar[GapChange]
    GAP_CHANGE_GO: _ClassVar[GapChange]

class CardRule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CARD_RULE_UNSPECIFIED: _ClassVar[CardRule]
    CARD_RULE_WORD_RUNS: _ClassVar[CardRule]
    CARD_RULE_CHARACTER_RUNS: _ClassVar[CardRule]
    CARD_RULE_PAIRS_OVER_CARDS: _ClassVar[CardRule]
    CARD_RULE_WORDS_OVER_CARDS: _ClassVar[CardRule]
    CARD_RULE_RARE_TOKENS: _ClassVar[CardRule]
    CARD_RULE_TOO_MANY_READINGS: _ClassVar[CardRule]
INTENT_UNSPECIFIED: Intent
INTENT_HARMFUL: Intent
INTENT_BENIGN: Intent
GAP_CHANGE_UNSPECIFIED: GapChange
GAP_CHANGE_NEW: GapChange
GAP_CHANGE_STAY: GapChange
GAP_CHANGE_GO: GapChange
CARD_RULE_UNSPECIFIED: CardRule
CARD_RULE_WORD_RUNS: CardRule
CARD_RULE_CHARACTER_RUNS: CardRule
CARD_RULE_PAIRS_OVER_CARDS: CardRule
CARD_RULE_WORDS_OVER_CARDS: CardRule
CARD_RULE_RARE_TOKENS: CardRule
CARD_RULE_TOO_MANY_READINGS: CardRule

class Prompt(_message.Message):
    __slots__ = ("text", "intent", "category", "language", "tags", "family")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    INTENT_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    text: str
    intent: Intent
    category: str
    language: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    family: str
    def __init__(self, text: _Optional[str] = ..., intent: _Optional[_Union[Intent, str]] = ..., category: _Optional[str] = ..., language: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., family: _Optional[str] = ...) -> None: ...

class ImportOptions(_message.Message):
    __slots__ = ("skip_bad",)
    SKIP_BAD_FIELD_NUMBER: _ClassVar[int]
    skip_bad: bool
    def __init__(self, skip_bad: _Optional[bool] = ...) -> None: ...

class ImportRow(_message.Message):
    __slots__ = ("line", "prompt")
    LINE_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    line: int
    prompt: Prompt
    def __init__(self, line: _Optional[int] = ..., prompt: _Optional[_Union[Prompt, _Mapping]] = ...) -> None: ...

class ImportPromptsRequest(_message.Message):
    __slots__ = ("options", "rows", "last", "sealed")
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    options: ImportOptions
    rows: _containers.RepeatedCompositeFieldContainer[ImportRow]
    last: bool
    sealed: bytes
    def __init__(self, options: _Optional[_Union[ImportOptions, _Mapping]] = ..., rows: _Optional[_Iterable[_Union[ImportRow, _Mapping]]] = ..., last: _Optional[bool] = ..., sealed: _Optional[bytes] = ...) -> None: ...

class NearRow(_message.Message):
    __slots__ = ("line", "handle", "similarity_percent", "other_line")
    LINE_FIELD_NUMBER: _ClassVar[int]
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_PERCENT_FIELD_NUMBER: _ClassVar[int]
    OTHER_LINE_FIELD_NUMBER: _ClassVar[int]
    line: int
    handle: str
    similarity_percent: int
    other_line: int
    def __init__(self, line: _Optional[int] = ..., handle: _Optional[str] = ..., similarity_percent: _Optional[int] = ..., other_line: _Optional[int] = ...) -> None: ...

class BadRow(_message.Message):
    __slots__ = ("line", "reason")
    LINE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    line: int
    reason: str
    def __init__(self, line: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class ImportPromptsResponse(_message.Message):
    __slots__ = ("imported", "bad", "duplicates", "near", "near_total", "gaps", "shortage", "spent_before")
    IMPORTED_FIELD_NUMBER: _ClassVar[int]
    BAD_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    NEAR_FIELD_NUMBER: _ClassVar[int]
    NEAR_TOTAL_FIELD_NUMBER: _ClassVar[int]
    GAPS_FIELD_NUMBER: _ClassVar[int]
    SHORTAGE_FIELD_NUMBER: _ClassVar[int]
    SPENT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    imported: int
    bad: _containers.RepeatedCompositeFieldContainer[BadRow]
    duplicates: _containers.RepeatedScalarFieldContainer[str]
    near: _containers.RepeatedCompositeFieldContainer[NearRow]
    near_total: int
    gaps: _containers.RepeatedCompositeFieldContainer[EpochGap]
    shortage: Shortage
    spent_before: int
    def __init__(self, imported: _Optional[int] = ..., bad: _Optional[_Iterable[_Union[BadRow, _Mapping]]] = ..., duplicates: _Optional[_Iterable[str]] = ..., near: _Optional[_Iterable[_Union[NearRow, _Mapping]]] = ..., near_total: _Optional[int] = ..., gaps: _Optional[_Iterable[_Union[EpochGap, _Mapping]]] = ..., shortage: _Optional[_Union[Shortage, _Mapping]] = ..., spent_before: _Optional[int] = ...) -> None: ...

class ListDuplicatesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class NearPair(_message.Message):
    __slots__ = ("first", "second", "similarity_percent")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_PERCENT_FIELD_NUMBER: _ClassVar[int]
    first: str
    second: str
    similarity_percent: int
    def __init__(self, first: _Optional[str] = ..., second: _Optional[str] = ..., similarity_percent: _Optional[int] = ...) -> None: ...

class ListDuplicatesResponse(_message.Message):
    __slots__ = ("pairs", "total")
    PAIRS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    pairs: _containers.RepeatedCompositeFieldContainer[NearPair]
    total: int
    def __init__(self, pairs: _Optional[_Iterable[_Union[NearPair, _Mapping]]] = ..., total: _Optional[int] = ...) -> None: ...

class GetPackKeyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetPackKeyResponse(_message.Message):
    __slots__ = ("public_key",)
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    public_key: bytes
    def __init__(self, public_key: _Optional[bytes] = ...) -> None: ...

class GetPromptRequest(_message.Message):
    __slots__ = ("handle",)
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    handle: str
    def __init__(self, handle: _Optional[str] = ...) -> None: ...

class GetPromptResponse(_message.Message):
    __slots__ = ("handle", "prompt", "retired", "burnt")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    RETIRED_FIELD_NUMBER: _ClassVar[int]
    BURNT_FIELD_NUMBER: _ClassVar[int]
    handle: str
    prompt: Prompt
    retired: bool
    burnt: bool
    def __init__(self, handle: _Optional[str] = ..., prompt: _Optional[_Union[Prompt, _Mapping]] = ..., retired: _Optional[bool] = ..., burnt: _Optional[bool] = ...) -> None: ...

class ListPromptsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "category")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    category: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., category: _Optional[str] = ...) -> None: ...

class ListPromptsResponse(_message.Message):
    __slots__ = ("handles", "next_page_token")
    HANDLES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    handles: _containers.RepeatedScalarFieldContainer[str]
    next_page_token: str
    def __init__(self, handles: _Optional[_Iterable[str]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetStatsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BankCount(_message.Message):
    __slots__ = ("intent", "category", "prompts", "units")
    INTENT_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    PROMPTS_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    intent: Intent
    category: str
    prompts: int
    units: int
    def __init__(self, intent: _Optional[_Union[Intent, str]] = ..., category: _Optional[str] = ..., prompts: _Optional[int] = ..., units: _Optional[int] = ...) -> None: ...

class Epoch(_message.Message):
    __slots__ = ("epoch_id", "number", "commitment", "prompts", "units")
    EPOCH_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    PROMPTS_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    epoch_id: str
    number: int
    commitment: str
    prompts: int
    units: int
    def __init__(self, epoch_id: _Optional[str] = ..., number: _Optional[int] = ..., commitment: _Optional[str] = ..., prompts: _Optional[int] = ..., units: _Optional[int] = ...) -> None: ...

class GetStatsResponse(_message.Message):
    __slots__ = ("live", "retired", "waiting", "counts", "epoch", "burnt", "shortage")
    LIVE_FIELD_NUMBER: _ClassVar[int]
    RETIRED_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    BURNT_FIELD_NUMBER: _ClassVar[int]
    SHORTAGE_FIELD_NUMBER: _ClassVar[int]
    live: int
    retired: int
    waiting: int
    counts: _containers.RepeatedCompositeFieldContainer[BankCount]
    epoch: Epoch
    burnt: int
    shortage: Shortage
    def __init__(self, live: _Optional[int] = ..., retired: _Optional[int] = ..., waiting: _Optional[int] = ..., counts: _Optional[_Iterable[_Union[BankCount, _Mapping]]] = ..., epoch: _Optional[_Union[Epoch, _Mapping]] = ..., burnt: _Optional[int] = ..., shortage: _Optional[_Union[Shortage, _Mapping]] = ...) -> None: ...

class RetirePromptsRequest(_message.Message):
    __slots__ = ("handles",)
    HANDLES_FIELD_NUMBER: _ClassVar[int]
    handles: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, handles: _Optional[_Iterable[str]] = ...) -> None: ...

class RetirePromptsResponse(_message.Message):
    __slots__ = ("retired",)
    RETIRED_FIELD_NUMBER: _ClassVar[int]
    retired: int
    def __init__(self, retired: _Optional[int] = ...) -> None: ...

class OpenEpochRequest(_message.Message):
    __slots__ = ("only_if_shown",)
    ONLY_IF_SHOWN_FIELD_NUMBER: _ClassVar[int]
    only_if_shown: bool
    def __init__(self, only_if_shown: _Optional[bool] = ...) -> None: ...

class OpenEpochResponse(_message.Message):
    __slots__ = ("epoch", "gaps", "categories", "shortage")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    GAPS_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    SHORTAGE_FIELD_NUMBER: _ClassVar[int]
    epoch: Epoch
    gaps: _containers.RepeatedCompositeFieldContainer[EpochGap]
    categories: _containers.RepeatedCompositeFieldContainer[CategoryHit]
    shortage: Shortage
    def __init__(self, epoch: _Optional[_Union[Epoch, _Mapping]] = ..., gaps: _Optional[_Iterable[_Union[EpochGap, _Mapping]]] = ..., categories: _Optional[_Iterable[_Union[CategoryHit, _Mapping]]] = ..., shortage: _Optional[_Union[Shortage, _Mapping]] = ...) -> None: ...

class Shortage(_message.Message):
    __slots__ = ("minimum_units", "groups", "shows_nothing")
    MINIMUM_UNITS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    SHOWS_NOTHING_FIELD_NUMBER: _ClassVar[int]
    minimum_units: int
    groups: _containers.RepeatedCompositeFieldContainer[SmallGroup]
    shows_nothing: bool
    def __init__(self, minimum_units: _Optional[int] = ..., groups: _Optional[_Iterable[_Union[SmallGroup, _Mapping]]] = ..., shows_nothing: _Optional[bool] = ...) -> None: ...

class SmallGroup(_message.Message):
    __slots__ = ("intent", "category", "units", "short", "rest")
    INTENT_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    SHORT_FIELD_NUMBER: _ClassVar[int]
    REST_FIELD_NUMBER: _ClassVar[int]
    intent: Intent
    category: str
    units: int
    short: int
    rest: int
    def __init__(self, intent: _Optional[_Union[Intent, str]] = ..., category: _Optional[str] = ..., units: _Optional[int] = ..., short: _Optional[int] = ..., rest: _Optional[int] = ...) -> None: ...

class CategoryHit(_message.Message):
    __slots__ = ("category", "hits")
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    category: str
    hits: _containers.RepeatedCompositeFieldContainer[CardHit]
    def __init__(self, category: _Optional[str] = ..., hits: _Optional[_Iterable[_Union[CardHit, _Mapping]]] = ...) -> None: ...

class EpochGap(_message.Message):
    __slots__ = ("intent", "category", "change", "units", "short")
    INTENT_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    SHORT_FIELD_NUMBER: _ClassVar[int]
    intent: Intent
    category: str
    change: GapChange
    units: int
    short: int
    def __init__(self, intent: _Optional[_Union[Intent, str]] = ..., category: _Optional[str] = ..., change: _Optional[_Union[GapChange, str]] = ..., units: _Optional[int] = ..., short: _Optional[int] = ...) -> None: ...

class ExamineCardRequest(_message.Message):
    __slots__ = ("title", "mechanism", "references", "mitigation")
    TITLE_FIELD_NUMBER: _ClassVar[int]
    MECHANISM_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    MITIGATION_FIELD_NUMBER: _ClassVar[int]
    title: str
    mechanism: str
    references: _containers.RepeatedScalarFieldContainer[str]
    mitigation: str
    def __init__(self, title: _Optional[str] = ..., mechanism: _Optional[str] = ..., references: _Optional[_Iterable[str]] = ..., mitigation: _Optional[str] = ...) -> None: ...

class CardHit(_message.Message):
    __slots__ = ("rule", "handle")
    RULE_FIELD_NUMBER: _ClassVar[int]
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    rule: CardRule
    handle: str
    def __init__(self, rule: _Optional[_Union[CardRule, str]] = ..., handle: _Optional[str] = ...) -> None: ...

class ExamineCardResponse(_message.Message):
    __slots__ = ("hits",)
    HITS_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[CardHit]
    def __init__(self, hits: _Optional[_Iterable[_Union[CardHit, _Mapping]]] = ...) -> None: ...
