"""Weaknesses of the boundary: what leaves, what is said, who may call, and what is sealed."""

from __future__ import annotations

from planting import Weakness

DISCLOSURE = "policy/heldout_policy/disclosure.py"
GATE = "server/heldout_server/api/gate.py"
API = "tests/unit/server/api"

WEAKNESSES = (
    Weakness(
        name="unclassified-field",
        says="a field of a release has no disclosure class",
        file="proto/heldout_proto/v1/findings.proto",
        old="  string checkpoint_digest = 3 [(disclosure) = DISCLOSURE_PUBLIC_META];\n",
        new="  string checkpoint_digest = 3;\n",
        tests=("tests/unit/policy/test_disclosure.py", "tests/integration/test_contract.py"),
        generate=True,
    ),
    Weakness(
        name="class-not-checked",
        says="a value leaves whatever its class",
        file=DISCLOSURE,
        old="        return self.check(value, approved)\n",
        new="        return True\n",
        tests=("tests/unit/policy/test_disclosure.py",),
    ),
    Weakness(
        name="unknown-fields-leave",
        says="fields that the contract does not know leave unseen",
        file=DISCLOSURE,
        old="    if len(UnknownFieldSet(message)) > 0:\n",
        new="    if len(UnknownFieldSet(message)) > 1_000:\n",
        tests=("tests/unit/policy/test_disclosure.py",),
    ),
    Weakness(
        name="gate-skipped",
        says="answers to run testers pass the gate unchecked",
        file=GATE,
        old="        if role is not Role.BANK_TESTER:\n",
        new="        if role not in {Role.BANK_TESTER, Role.RUN_TESTER}:\n",
        tests=(f"{API}/test_gate.py", f"{API}/test_edge.py"),
    ),
    Weakness(
        name="category-tells",
        says="the name of a category is published whatever it says",
        file="server/heldout_server/bank/store.py",
        old="        if found := await self.gate.admit_names(named.categories):\n",
        new="        if found := {}:\n",
        tests=("tests/unit/server/bank/test_category_names.py",),
    ),
    Weakness(
        name="error-quotes-input",
        says="an error that nobody foresaw tells its text",
        file="server/heldout_server/api/status.py",
        old="    return internal(opaque_id)\n\n\ndef rate_limited",
        new='    return internal(f"{opaque_id} {error}")\n\n\ndef rate_limited',
        tests=(f"{API}/test_edge.py",),
    ),
    Weakness(
        name="unknown-differs",
        says="a trainer can tell what is unknown from what is forbidden",
        file="server/heldout_server/api/status.py",
        old='ALIKE: Final = frozenset({"NOT_FOUND", "REFUSED", "WITHHELD"})',
        new='ALIKE: Final = frozenset({"REFUSED", "WITHHELD"})',
        tests=("tests/leakage/test_attacks.py::test_the_boundary_holds[refusals-told-apart]",),
    ),
    Weakness(
        name="one-rpc-too-many",
        says="a run tester may read a prompt",
        file="policy/heldout_policy/defaults/authorization.cedar",
        old='        Action::"/heldout.v1.EvaluationService/ListRuns"\n',
        new='        Action::"/heldout.v1.EvaluationService/ListRuns",\n'
        '        Action::"/heldout.v1.BankService/GetPrompt"\n',
        tests=("tests/unit/policy/test_authorization.py",),
    ),
    Weakness(
        name="trainer-and-bank-tester",
        says="one identity may be trainer and bank tester",
        file="policy/heldout_policy/principals.py",
        old="        if identity in roles:\n",
        new="        if identity in roles and {roles[identity], role} < SEPARATED:\n",
        tests=("tests/unit/policy/test_principals.py",),
    ),
    Weakness(
        name="two-names",
        says="of a certificate with two names the first counts",
        file="server/heldout_server/identity/gatekeeper.py",
        old="        return self._principals.get(names[0]) if len(names) == 1 else None\n",
        new="        return self._principals.get(names[0]) if names else None\n",
        tests=("tests/unit/server/identity/test_gatekeeper.py",),
    ),
    Weakness(
        name="prompt-in-repr",
        says="repr of a prompt shows it, and so does an exception that holds one",
        file="server/heldout_server/domain/secret_text.py",
        old='        return "SecretText(…)"\n',
        new='        return f"SecretText({self.__text})"\n',
        tests=("tests/unit/server/test_secret_text.py",),
    ),
    Weakness(
        name="any-log-field",
        says="a log line may hold fields that nobody declared",
        file="server/heldout_server/telemetry/logs.py",
        old="    kept = {key: value for key, value in event_dict.items() if is_declared(key, value)}\n",
        new="    kept = dict(event_dict)\n",
        tests=("tests/unit/server/telemetry/test_logs.py",),
    ),
    Weakness(
        name="exception-text-logged",
        says="the text of an exception reaches the log",
        file="server/heldout_server/telemetry/logs.py",
        old='    fields = {"error": type(error).__name__}\n',
        new='    fields = {"error": str(error)[:60].replace(" ", "_") or type(error).__name__}\n',
        tests=("tests/unit/server/telemetry/test_logs.py",),
    ),
    Weakness(
        name="guess-by-digest",
        says="a guessed handle list can be confirmed by the epoch's commitment, which has no salt",
        file="server/heldout_server/bank/epochs.py",
        old="    salt = random_bytes(SALT_BYTES)\n",
        new="    salt = bytes(SALT_BYTES)\n",
        tests=("tests/unit/server/bank",),
    ),
    Weakness(
        name="sealed-text-moves",
        says="a sealed text opens in another's place, and a wrapped key for another purpose",
        file="server/heldout_server/sealing.py",
        old='        place += len(encoded).to_bytes(4, "big") + encoded\n',
        new="        place += encoded[:0]\n",
        tests=("tests/unit/server/bank/test_bank_store.py", "tests/unit/server/keys/test_wrapping.py"),
    ),
    Weakness(
        name="card-in-base64",
        says="the cards gate does not look into base64",
        file="server/heldout_server/bank/readings.py",
        old="    _from_base64,\n    _from_base32,\n",
        new="    _from_base32,\n",
        tests=("tests/unit/server/bank/test_cards_gate.py",),
    ),
    Weakness(
        name="exposed-unasked",
        says="prompts go to a server that can log them, though the manifest does not allow it",
        file="server/heldout_server/evaluation/proposals.py",
        old="        self._check_exposure(exposed=exposed, allowed=request.allow_exposed)\n",
        new="",
        tests=("tests/unit/server/evaluation",),
    ),
)
