from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TableKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TABLE_KIND_UNSPECIFIED: _ClassVar[TableKind]
    TABLE_KIND_TECHNIQUE: _ClassVar[TableKind]
    TABLE_KIND_STACK: _ClassVar[TableKind]
    TABLE_KIND_CATEGORY: _ClassVar[TableKind]
    TABLE_KIND_NON_ANSWERS: _ClassVar[TableKind]
    TABLE_KIND_OVER_REFUSAL: _ClassVar[TableKind]
    TABLE_KIND_FIRST_BREACH: _ClassVar[TableKind]

class TrustClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRUST_CLASS_UNSPECIFIED: _ClassVar[TrustClass]
    TRUST_CLASS_CONTAINED: _ClassVar[TrustClass]
    TRUST_CLASS_ATTESTED: _ClassVar[TrustClass]
    TRUST_CLASS_EXPOSED: _ClassVar[TrustClass]

class Profile(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROFILE_UNSPECIFIED: _ClassVar[Profile]
    PROFILE_PRIVATE: _ClassVar[Profile]
    PROFILE_EXACT: _ClassVar[Profile]

class ScoreKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCORE_KIND_UNSPECIFIED: _ClassVar[ScoreKind]
    SCORE_KIND_CAPABILITY: _ClassVar[ScoreKind]
    SCORE_KIND_INTERNAL_SAFETY: _ClassVar[ScoreKind]
TABLE_KIND_UNSPECIFIED: TableKind
TABLE_KIND_TECHNIQUE: TableKind
TABLE_KIND_STACK: TableKind
TABLE_KIND_CATEGORY: TableKind
TABLE_KIND_NON_ANSWERS: TableKind
TABLE_KIND_OVER_REFUSAL: TableKind
TABLE_KIND_FIRST_BREACH: TableKind
TRUST_CLASS_UNSPECIFIED: TrustClass
TRUST_CLASS_CONTAINED: TrustClass
TRUST_CLASS_ATTESTED: TrustClass
TRUST_CLASS_EXPOSED: TrustClass
PROFILE_UNSPECIFIED: Profile
PROFILE_PRIVATE: Profile
PROFILE_EXACT: Profile
SCORE_KIND_UNSPECIFIED: ScoreKind
SCORE_KIND_CAPABILITY: ScoreKind
SCORE_KIND_INTERNAL_SAFETY: ScoreKind

class Table(_message.Message):
    __slots__ = ("kind", "sigma_micro", "grid_micro", "cells_per_unit", "debit_nano_rho", "rows")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SIGMA_MICRO_FIELD_NUMBER: _ClassVar[int]
    GRID_MICRO_FIELD_NUMBER: _ClassVar[int]
    CELLS_PER_UNIT_FIELD_NUMBER: _ClassVar[int]
    DEBIT_NANO_RHO_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    kind: TableKind
    sigma_micro: int
    grid_micro: int
    cells_per_unit: int
    debit_nano_rho: int
    rows: _containers.RepeatedCompositeFieldContainer[Row]
    def __init__(self, kind: _Optional[_Union[TableKind, str]] = ..., sigma_micro: _Optional[int] = ..., grid_micro: _Optional[int] = ..., cells_per_unit: _Optional[int] = ..., debit_nano_rho: _Optional[int] = ..., rows: _Optional[_Iterable[_Union[Row, _Mapping]]] = ...) -> None: ...

class Row(_message.Message):
    __slots__ = ("key", "units", "count", "withheld")
    KEY_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_FIELD_NUMBER: _ClassVar[int]
    key: str
    units: int
    count: int
    withheld: bool
    def __init__(self, key: _Optional[str] = ..., units: _Optional[int] = ..., count: _Optional[int] = ..., withheld: _Optional[bool] = ...) -> None: ...

class TestedSystem(_message.Message):
    __slots__ = ("checkpoint", "line", "checkpoint_digest", "runtime", "trust", "temperature_milli", "top_p_milli", "max_tokens", "attempts", "engine_version", "dialect", "top_k", "min_p_milli", "repetition_penalty_milli", "reasoning_off", "precision", "chat_template_digest", "system_profile", "system_digest", "filters", "burnt_prompts", "base", "base_digest", "reasoning_effort", "completion")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    TRUST_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_MILLI_FIELD_NUMBER: _ClassVar[int]
    TOP_P_MILLI_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    ENGINE_VERSION_FIELD_NUMBER: _ClassVar[int]
    DIALECT_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    MIN_P_MILLI_FIELD_NUMBER: _ClassVar[int]
    REPETITION_PENALTY_MILLI_FIELD_NUMBER: _ClassVar[int]
    REASONING_OFF_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    CHAT_TEMPLATE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_PROFILE_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_DIGEST_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    BURNT_PROMPTS_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    BASE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    REASONING_EFFORT_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_FIELD_NUMBER: _ClassVar[int]
    checkpoint: str
    line: str
    checkpoint_digest: str
    runtime: str
    trust: TrustClass
    temperature_milli: int
    top_p_milli: int
    max_tokens: int
    attempts: int
    engine_version: str
    dialect: str
    top_k: int
    min_p_milli: int
    repetition_penalty_milli: int
    reasoning_off: bool
    precision: str
    chat_template_digest: str
    system_profile: str
    system_digest: str
    filters: _containers.RepeatedScalarFieldContainer[str]
    burnt_prompts: int
    base: str
    base_digest: str
    reasoning_effort: str
    completion: bool
    def __init__(self, checkpoint: _Optional[str] = ..., line: _Optional[str] = ..., checkpoint_digest: _Optional[str] = ..., runtime: _Optional[str] = ..., trust: _Optional[_Union[TrustClass, str]] = ..., temperature_milli: _Optional[int] = ..., top_p_milli: _Optional[int] = ..., max_tokens: _Optional[int] = ..., attempts: _Optional[int] = ..., engine_version: _Optional[str] = ..., dialect: _Optional[str] = ..., top_k: _Optional[int] = ..., min_p_milli: _Optional[int] = ..., repetition_penalty_milli: _Optional[int] = ..., reasoning_off: _Optional[bool] = ..., precision: _Optional[str] = ..., chat_template_digest: _Optional[str] = ..., system_profile: _Optional[str] = ..., system_digest: _Optional[str] = ..., filters: _Optional[_Iterable[str]] = ..., burnt_prompts: _Optional[int] = ..., base: _Optional[str] = ..., base_digest: _Optional[str] = ..., reasoning_effort: _Optional[str] = ..., completion: _Optional[bool] = ...) -> None: ...

class Release(_message.Message):
    __slots__ = ("release_id", "number", "releases_total", "run_id", "epoch_id", "epoch_number", "tested", "manifest_digest", "policy_digest", "judge", "judge_digest", "published_s", "full", "tables", "cancelled", "atoms", "padding", "cards", "approving_roles", "profile", "anchor")
    RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    RELEASES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_NUMBER_FIELD_NUMBER: _ClassVar[int]
    TESTED_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    JUDGE_FIELD_NUMBER: _ClassVar[int]
    JUDGE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_S_FIELD_NUMBER: _ClassVar[int]
    FULL_FIELD_NUMBER: _ClassVar[int]
    TABLES_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    ATOMS_FIELD_NUMBER: _ClassVar[int]
    PADDING_FIELD_NUMBER: _ClassVar[int]
    CARDS_FIELD_NUMBER: _ClassVar[int]
    APPROVING_ROLES_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_FIELD_NUMBER: _ClassVar[int]
    release_id: str
    number: int
    releases_total: int
    run_id: str
    epoch_id: str
    epoch_number: int
    tested: TestedSystem
    manifest_digest: str
    policy_digest: str
    judge: str
    judge_digest: str
    published_s: int
    full: bool
    tables: _containers.RepeatedCompositeFieldContainer[Table]
    cancelled: bool
    atoms: AtomCertificate
    padding: bytes
    cards: _containers.RepeatedCompositeFieldContainer[CardDigest]
    approving_roles: _containers.RepeatedScalarFieldContainer[str]
    profile: Profile
    anchor: bool
    def __init__(self, release_id: _Optional[str] = ..., number: _Optional[int] = ..., releases_total: _Optional[int] = ..., run_id: _Optional[str] = ..., epoch_id: _Optional[str] = ..., epoch_number: _Optional[int] = ..., tested: _Optional[_Union[TestedSystem, _Mapping]] = ..., manifest_digest: _Optional[str] = ..., policy_digest: _Optional[str] = ..., judge: _Optional[str] = ..., judge_digest: _Optional[str] = ..., published_s: _Optional[int] = ..., full: _Optional[bool] = ..., tables: _Optional[_Iterable[_Union[Table, _Mapping]]] = ..., cancelled: _Optional[bool] = ..., atoms: _Optional[_Union[AtomCertificate, _Mapping]] = ..., padding: _Optional[bytes] = ..., cards: _Optional[_Iterable[_Union[CardDigest, _Mapping]]] = ..., approving_roles: _Optional[_Iterable[str]] = ..., profile: _Optional[_Union[Profile, str]] = ..., anchor: _Optional[bool] = ...) -> None: ...

class AtomCertificate(_message.Message):
    __slots__ = ("minimum", "sets", "atoms")
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    SETS_FIELD_NUMBER: _ClassVar[int]
    ATOMS_FIELD_NUMBER: _ClassVar[int]
    minimum: int
    sets: _containers.RepeatedCompositeFieldContainer[AtomSet]
    atoms: _containers.RepeatedCompositeFieldContainer[Atom]
    def __init__(self, minimum: _Optional[int] = ..., sets: _Optional[_Iterable[_Union[AtomSet, _Mapping]]] = ..., atoms: _Optional[_Iterable[_Union[Atom, _Mapping]]] = ...) -> None: ...

class AtomSet(_message.Message):
    __slots__ = ("epoch_id", "benign", "category", "units")
    EPOCH_ID_FIELD_NUMBER: _ClassVar[int]
    BENIGN_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    epoch_id: str
    benign: bool
    category: str
    units: int
    def __init__(self, epoch_id: _Optional[str] = ..., benign: _Optional[bool] = ..., category: _Optional[str] = ..., units: _Optional[int] = ...) -> None: ...

class Atom(_message.Message):
    __slots__ = ("sets", "units")
    SETS_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    sets: _containers.RepeatedScalarFieldContainer[int]
    units: int
    def __init__(self, sets: _Optional[_Iterable[int]] = ..., units: _Optional[int] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("entry", "proof", "salt")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    SALT_FIELD_NUMBER: _ClassVar[int]
    entry: bytes
    proof: str
    salt: bytes
    def __init__(self, entry: _Optional[bytes] = ..., proof: _Optional[str] = ..., salt: _Optional[bytes] = ...) -> None: ...

class ListReleasesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListReleasesResponse(_message.Message):
    __slots__ = ("releases", "next_page_token")
    RELEASES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    releases: _containers.RepeatedCompositeFieldContainer[ReleaseWithReceipt]
    next_page_token: str
    def __init__(self, releases: _Optional[_Iterable[_Union[ReleaseWithReceipt, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ReleaseWithReceipt(_message.Message):
    __slots__ = ("release", "receipt")
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    release: Release
    receipt: Receipt
    def __init__(self, release: _Optional[_Union[Release, _Mapping]] = ..., receipt: _Optional[_Union[Receipt, _Mapping]] = ...) -> None: ...

class GetReleaseRequest(_message.Message):
    __slots__ = ("release_id",)
    RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    release_id: str
    def __init__(self, release_id: _Optional[str] = ...) -> None: ...

class GetReleaseResponse(_message.Message):
    __slots__ = ("release",)
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    release: ReleaseWithReceipt
    def __init__(self, release: _Optional[_Union[ReleaseWithReceipt, _Mapping]] = ...) -> None: ...

class Card(_message.Message):
    __slots__ = ("technique", "title", "family", "kind", "mechanism", "references", "mitigation", "digest", "author", "approved_by")
    TECHNIQUE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MECHANISM_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    MITIGATION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    APPROVED_BY_FIELD_NUMBER: _ClassVar[int]
    technique: str
    title: str
    family: str
    kind: str
    mechanism: str
    references: _containers.RepeatedScalarFieldContainer[str]
    mitigation: str
    digest: str
    author: str
    approved_by: str
    def __init__(self, technique: _Optional[str] = ..., title: _Optional[str] = ..., family: _Optional[str] = ..., kind: _Optional[str] = ..., mechanism: _Optional[str] = ..., references: _Optional[_Iterable[str]] = ..., mitigation: _Optional[str] = ..., digest: _Optional[str] = ..., author: _Optional[str] = ..., approved_by: _Optional[str] = ...) -> None: ...

class CardDigest(_message.Message):
    __slots__ = ("technique", "digest")
    TECHNIQUE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    technique: str
    digest: str
    def __init__(self, technique: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class CardSet(_message.Message):
    __slots__ = ("cards",)
    CARDS_FIELD_NUMBER: _ClassVar[int]
    cards: _containers.RepeatedCompositeFieldContainer[Card]
    def __init__(self, cards: _Optional[_Iterable[_Union[Card, _Mapping]]] = ...) -> None: ...

class ListCardsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListCardsResponse(_message.Message):
    __slots__ = ("cards", "next_page_token")
    CARDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    cards: _containers.RepeatedCompositeFieldContainer[Card]
    next_page_token: str
    def __init__(self, cards: _Optional[_Iterable[_Union[Card, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ("epoch_id", "releases_used", "releases_total", "harmful_spent_nano_rho", "benign_spent_nano_rho", "budget_nano_rho", "policy_digest", "releases_payable", "lines", "anchors_used", "anchors_total", "profile")
    EPOCH_ID_FIELD_NUMBER: _ClassVar[int]
    RELEASES_USED_FIELD_NUMBER: _ClassVar[int]
    RELEASES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    HARMFUL_SPENT_NANO_RHO_FIELD_NUMBER: _ClassVar[int]
    BENIGN_SPENT_NANO_RHO_FIELD_NUMBER: _ClassVar[int]
    BUDGET_NANO_RHO_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RELEASES_PAYABLE_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    ANCHORS_USED_FIELD_NUMBER: _ClassVar[int]
    ANCHORS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    epoch_id: str
    releases_used: int
    releases_total: int
    harmful_spent_nano_rho: int
    benign_spent_nano_rho: int
    budget_nano_rho: int
    policy_digest: str
    releases_payable: int
    lines: _containers.RepeatedCompositeFieldContainer[LineQuota]
    anchors_used: int
    anchors_total: int
    profile: Profile
    def __init__(self, epoch_id: _Optional[str] = ..., releases_used: _Optional[int] = ..., releases_total: _Optional[int] = ..., harmful_spent_nano_rho: _Optional[int] = ..., benign_spent_nano_rho: _Optional[int] = ..., budget_nano_rho: _Optional[int] = ..., policy_digest: _Optional[str] = ..., releases_payable: _Optional[int] = ..., lines: _Optional[_Iterable[_Union[LineQuota, _Mapping]]] = ..., anchors_used: _Optional[int] = ..., anchors_total: _Optional[int] = ..., profile: _Optional[_Union[Profile, str]] = ...) -> None: ...

class LineQuota(_message.Message):
    __slots__ = ("line", "used", "total")
    LINE_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    line: str
    used: int
    total: int
    def __init__(self, line: _Optional[str] = ..., used: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class GetBudgetRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetBudgetResponse(_message.Message):
    __slots__ = ("budget",)
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    budget: Budget
    def __init__(self, budget: _Optional[_Union[Budget, _Mapping]] = ...) -> None: ...

class Score(_message.Message):
    __slots__ = ("checkpoint", "kind", "benchmark", "value_milli")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    BENCHMARK_FIELD_NUMBER: _ClassVar[int]
    VALUE_MILLI_FIELD_NUMBER: _ClassVar[int]
    checkpoint: str
    kind: ScoreKind
    benchmark: str
    value_milli: int
    def __init__(self, checkpoint: _Optional[str] = ..., kind: _Optional[_Union[ScoreKind, str]] = ..., benchmark: _Optional[str] = ..., value_milli: _Optional[int] = ...) -> None: ...

class RecordScoreRequest(_message.Message):
    __slots__ = ("score", "remove")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    score: Score
    remove: bool
    def __init__(self, score: _Optional[_Union[Score, _Mapping]] = ..., remove: _Optional[bool] = ...) -> None: ...

class RecordScoreResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListScoresRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListScoresResponse(_message.Message):
    __slots__ = ("scores", "next_page_token")
    SCORES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    scores: _containers.RepeatedCompositeFieldContainer[Score]
    next_page_token: str
    def __init__(self, scores: _Optional[_Iterable[_Union[Score, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
