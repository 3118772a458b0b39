from heldout_proto.v1 import findings_pb2 as _findings_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_STATE_UNSPECIFIED: _ClassVar[RunState]
    RUN_STATE_PROPOSED: _ClassVar[RunState]
    RUN_STATE_RUNNING: _ClassVar[RunState]
    RUN_STATE_COMPLETE: _ClassVar[RunState]
    RUN_STATE_PUBLISHED: _ClassVar[RunState]
    RUN_STATE_CANCELLED: _ClassVar[RunState]

class PreflightFinding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PREFLIGHT_FINDING_UNSPECIFIED: _ClassVar[PreflightFinding]
    PREFLIGHT_FINDING_NO_START: _ClassVar[PreflightFinding]
    PREFLIGHT_FINDING_NO_ANSWER: _ClassVar[PreflightFinding]
    PREFLIGHT_FINDING_NO_CHAT_TEMPLATE: _ClassVar[PreflightFinding]
    PREFLIGHT_FINDING_TRUNCATED: _ClassVar[PreflightFinding]
    PREFLIGHT_FINDING_BLOCKED: _ClassVar[PreflightFinding]
    PREFLIGHT_FINDING_EMPTY_ANSWER: _ClassVar[PreflightFinding]
    PREFLIGHT_FINDING_EMPTY_BESIDE_REASONING: _ClassVar[PreflightFinding]
    PREFLIGHT_FINDING_STOP_TOKENS: _ClassVar[PreflightFinding]
    PREFLIGHT_FINDING_TOOL_CALLS: _ClassVar[PreflightFinding]
    PREFLIGHT_FINDING_ACCESS_REFUSED: _ClassVar[PreflightFinding]
    PREFLIGHT_FINDING_NOT_CONTAINED: _ClassVar[PreflightFinding]
RUN_STATE_UNSPECIFIED: RunState
RUN_STATE_PROPOSED: RunState
RUN_STATE_RUNNING: RunState
RUN_STATE_COMPLETE: RunState
RUN_STATE_PUBLISHED: RunState
RUN_STATE_CANCELLED: RunState
PREFLIGHT_FINDING_UNSPECIFIED: PreflightFinding
PREFLIGHT_FINDING_NO_START: PreflightFinding
PREFLIGHT_FINDING_NO_ANSWER: PreflightFinding
PREFLIGHT_FINDING_NO_CHAT_TEMPLATE: PreflightFinding
PREFLIGHT_FINDING_TRUNCATED: PreflightFinding
PREFLIGHT_FINDING_BLOCKED: PreflightFinding
PREFLIGHT_FINDING_EMPTY_ANSWER: PreflightFinding
PREFLIGHT_FINDING_EMPTY_BESIDE_REASONING: PreflightFinding
PREFLIGHT_FINDING_STOP_TOKENS: PreflightFinding
PREFLIGHT_FINDING_TOOL_CALLS: PreflightFinding
PREFLIGHT_FINDING_ACCESS_REFUSED: PreflightFinding
PREFLIGHT_FINDING_NOT_CONTAINED: PreflightFinding

class Preflight(_message.Message):
    __slots__ = ("asked", "answered", "findings")
    ASKED_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    asked: int
    answered: bool
    findings: _containers.RepeatedScalarFieldContainer[PreflightFinding]
    def __init__(self, asked: _Optional[int] = ..., answered: _Optional[bool] = ..., findings: _Optional[_Iterable[_Union[PreflightFinding, str]]] = ...) -> None: ...

class Stack(_message.Message):
    __slots__ = ("techniques",)
    TECHNIQUES_FIELD_NUMBER: _ClassVar[int]
    techniques: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, techniques: _Optional[_Iterable[str]] = ...) -> None: ...

class Run(_message.Message):
    __slots__ = ("run_id", "state", "manifest_digest", "epoch_id", "tested", "techniques", "stacks", "judge", "policy_digest", "approvals", "release_number", "planned_trials", "created_s", "cancelled", "publishes_s", "planned_time_percent", "anchor", "profile")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    EPOCH_ID_FIELD_NUMBER: _ClassVar[int]
    TESTED_FIELD_NUMBER: _ClassVar[int]
    TECHNIQUES_FIELD_NUMBER: _ClassVar[int]
    STACKS_FIELD_NUMBER: _ClassVar[int]
    JUDGE_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    PLANNED_TRIALS_FIELD_NUMBER: _ClassVar[int]
    CREATED_S_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    PUBLISHES_S_FIELD_NUMBER: _ClassVar[int]
    PLANNED_TIME_PERCENT_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    state: RunState
    manifest_digest: str
    epoch_id: str
    tested: _findings_pb2.TestedSystem
    techniques: _containers.RepeatedScalarFieldContainer[str]
    stacks: _containers.RepeatedCompositeFieldContainer[Stack]
    judge: str
    policy_digest: str
    approvals: _containers.RepeatedScalarFieldContainer[str]
    release_number: int
    planned_trials: int
    created_s: int
    cancelled: bool
    publishes_s: int
    planned_time_percent: int
    anchor: bool
    profile: _findings_pb2.Profile
    def __init__(self, run_id: _Optional[str] = ..., state: _Optional[_Union[RunState, str]] = ..., manifest_digest: _Optional[str] = ..., epoch_id: _Optional[str] = ..., tested: _Optional[_Union[_findings_pb2.TestedSystem, _Mapping]] = ..., techniques: _Optional[_Iterable[str]] = ..., stacks: _Optional[_Iterable[_Union[Stack, _Mapping]]] = ..., judge: _Optional[str] = ..., policy_digest: _Optional[str] = ..., approvals: _Optional[_Iterable[str]] = ..., release_number: _Optional[int] = ..., planned_trials: _Optional[int] = ..., created_s: _Optional[int] = ..., cancelled: _Optional[bool] = ..., publishes_s: _Optional[int] = ..., planned_time_percent: _Optional[int] = ..., anchor: _Optional[bool] = ..., profile: _Optional[_Union[_findings_pb2.Profile, str]] = ...) -> None: ...

class ProposeRunRequest(_message.Message):
    __slots__ = ("checkpoint", "techniques", "stacks", "attempts", "allow_exposed", "anchor")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    TECHNIQUES_FIELD_NUMBER: _ClassVar[int]
    STACKS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_EXPOSED_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_FIELD_NUMBER: _ClassVar[int]
    checkpoint: str
    techniques: _containers.RepeatedScalarFieldContainer[str]
    stacks: _containers.RepeatedCompositeFieldContainer[Stack]
    attempts: int
    allow_exposed: bool
    anchor: bool
    def __init__(self, checkpoint: _Optional[str] = ..., techniques: _Optional[_Iterable[str]] = ..., stacks: _Optional[_Iterable[_Union[Stack, _Mapping]]] = ..., attempts: _Optional[int] = ..., allow_exposed: _Optional[bool] = ..., anchor: _Optional[bool] = ...) -> None: ...

class PlannedTime(_message.Message):
    __slots__ = ("publishes_s", "run_s", "width", "units", "deadline_ms", "start_s")
    PUBLISHES_S_FIELD_NUMBER: _ClassVar[int]
    RUN_S_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    START_S_FIELD_NUMBER: _ClassVar[int]
    publishes_s: int
    run_s: int
    width: int
    units: int
    deadline_ms: int
    start_s: int
    def __init__(self, publishes_s: _Optional[int] = ..., run_s: _Optional[int] = ..., width: _Optional[int] = ..., units: _Optional[int] = ..., deadline_ms: _Optional[int] = ..., start_s: _Optional[int] = ...) -> None: ...

class ProposeRunResponse(_message.Message):
    __slots__ = ("run", "planned")
    RUN_FIELD_NUMBER: _ClassVar[int]
    PLANNED_FIELD_NUMBER: _ClassVar[int]
    run: Run
    planned: PlannedTime
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ..., planned: _Optional[_Union[PlannedTime, _Mapping]] = ...) -> None: ...

class ApproveRunRequest(_message.Message):
    __slots__ = ("run_id", "manifest_digest", "standing")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    manifest_digest: str
    standing: bool
    def __init__(self, run_id: _Optional[str] = ..., manifest_digest: _Optional[str] = ..., standing: _Optional[bool] = ...) -> None: ...

class ApproveRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class StandingApproval(_message.Message):
    __slots__ = ("template_digest", "line", "identity", "run_id", "given_s")
    TEMPLATE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    GIVEN_S_FIELD_NUMBER: _ClassVar[int]
    template_digest: str
    line: str
    identity: str
    run_id: str
    given_s: int
    def __init__(self, template_digest: _Optional[str] = ..., line: _Optional[str] = ..., identity: _Optional[str] = ..., run_id: _Optional[str] = ..., given_s: _Optional[int] = ...) -> None: ...

class ListStandingApprovalsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListStandingApprovalsResponse(_message.Message):
    __slots__ = ("approvals",)
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    approvals: _containers.RepeatedCompositeFieldContainer[StandingApproval]
    def __init__(self, approvals: _Optional[_Iterable[_Union[StandingApproval, _Mapping]]] = ...) -> None: ...

class RevokeStandingApprovalRequest(_message.Message):
    __slots__ = ("template_digest",)
    TEMPLATE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    template_digest: str
    def __init__(self, template_digest: _Optional[str] = ...) -> None: ...

class RevokeStandingApprovalResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PreflightCheckpointRequest(_message.Message):
    __slots__ = ("checkpoint",)
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    checkpoint: str
    def __init__(self, checkpoint: _Optional[str] = ...) -> None: ...

class PreflightCheckpointResponse(_message.Message):
    __slots__ = ("checkpoint", "preflight")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    PREFLIGHT_FIELD_NUMBER: _ClassVar[int]
    checkpoint: str
    preflight: Preflight
    def __init__(self, checkpoint: _Optional[str] = ..., preflight: _Optional[_Union[Preflight, _Mapping]] = ...) -> None: ...

class StartRunRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class StartRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class CancelRunRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class CancelRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class GetRunRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class GetRunResponse(_message.Message):
    __slots__ = ("run", "preflight", "planned")
    RUN_FIELD_NUMBER: _ClassVar[int]
    PREFLIGHT_FIELD_NUMBER: _ClassVar[int]
    PLANNED_FIELD_NUMBER: _ClassVar[int]
    run: Run
    preflight: Preflight
    planned: PlannedTime
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ..., preflight: _Optional[_Union[Preflight, _Mapping]] = ..., planned: _Optional[_Union[PlannedTime, _Mapping]] = ...) -> None: ...

class ListRunsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListRunsResponse(_message.Message):
    __slots__ = ("runs", "next_page_token")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    next_page_token: str
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchRunRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class WatchRunResponse(_message.Message):
    __slots__ = ("run", "finished_trials", "trials_per_s", "paused", "faults")
    RUN_FIELD_NUMBER: _ClassVar[int]
    FINISHED_TRIALS_FIELD_NUMBER: _ClassVar[int]
    TRIALS_PER_S_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    run: Run
    finished_trials: int
    trials_per_s: float
    paused: str
    faults: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ..., finished_trials: _Optional[int] = ..., trials_per_s: _Optional[float] = ..., paused: _Optional[str] = ..., faults: _Optional[_Iterable[str]] = ...) -> None: ...

class GetResultsRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class ExactRow(_message.Message):
    __slots__ = ("table", "key", "units", "trials", "rate", "low", "high", "best", "worst")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    BEST_FIELD_NUMBER: _ClassVar[int]
    WORST_FIELD_NUMBER: _ClassVar[int]
    table: _findings_pb2.TableKind
    key: str
    units: int
    trials: int
    rate: float
    low: float
    high: float
    best: float
    worst: float
    def __init__(self, table: _Optional[_Union[_findings_pb2.TableKind, str]] = ..., key: _Optional[str] = ..., units: _Optional[int] = ..., trials: _Optional[int] = ..., rate: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., best: _Optional[float] = ..., worst: _Optional[float] = ...) -> None: ...

class GetResultsResponse(_message.Message):
    __slots__ = ("run", "rows")
    RUN_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    run: Run
    rows: _containers.RepeatedCompositeFieldContainer[ExactRow]
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ..., rows: _Optional[_Iterable[_Union[ExactRow, _Mapping]]] = ...) -> None: ...
