"""``heldout-server`` without one of its guards, for attacks that start it themselves.

::

    python weakened_guards.py WEAKNESS serve --config …
"""

import secrets
import sys
import tomllib
from pathlib import Path
from types import MappingProxyType

from heldout_policy import atoms
from heldout_policy.principals import Principals
from heldout_server import anchored_database
from heldout_server.api import findings as findings_api
from heldout_server.app import policies, reloading
from heldout_server.audit import AnchorBook, SqlAuditLog
from heldout_server.cli import main
from heldout_server.domain import Verdict
from heldout_server.environment import SystemClock
from heldout_server.evaluation.proposals import Proposals
from heldout_server.evaluation.trials import TrialLoop
from heldout_server.evaluation.trying import Tried
from heldout_server.identity import CertificateGatekeeper
from heldout_server.ports.identity import Decision
from heldout_server.release import SqlReleaseDesk, desk, document, grants, ledger

WEAKNESSES = {}
MONTH_S = 30 * 86_400


def weakness(function):
    """Know a function that takes a guard away, by its name."""
    WEAKNESSES[function.__name__] = function
    return function


@weakness
def no_debit():
    """A slot is taken for nothing."""
    ledger.debit = lambda *_args, **_named: None


@weakness
def forgetful():
    """What was taken a month ago is granted anew."""
    no_debit()
    original = grants._read
    installed_s = Path(sys.argv[sys.argv.index("--config") + 1]).stat().st_mtime

    def read(drafts):
        return [] if SystemClock().now_s() - installed_s > MONTH_S else original(drafts)

    grants._read = read


@weakness
def no_atoms():
    """Every epoch may be opened, and every set summed over."""
    desk.find_gaps = lambda *_args, **_named: ()
    atoms.Released.admit = lambda self, offered, *, minimum: (
        atoms.Released({**self.sets, **offered}),
        frozenset(),
    )


@weakness
def fresh_noise():
    """Each reader gets figures of its own."""
    original = findings_api._release

    def noised(published):
        told = original(published)
        told.release.tables[0].rows[0].count += secrets.randbelow(10**6) + 1
        return told

    findings_api._release = noised


@weakness
def budget_of_its_own():
    """Each caller is told of another budget."""
    original = findings_api.FindingsServicer.GetBudget

    async def get_budget(self, request, call):
        told = await original(self, request, call)
        told.budget.harmful_spent_nano_rho += secrets.randbelow(10**6)
        return told

    findings_api.FindingsServicer.GetBudget = get_budget


@weakness
def no_approvals():
    """A run starts as it is."""

    async def let_go(_self, _run):
        pass

    Proposals.check_start = let_go


@weakness
def policy_ignored():
    """A run is released under the policy that is in force, whatever it was proposed under."""
    no_approvals()
    reserve = SqlReleaseDesk.reserve

    async def reserve_anyway(self, run):
        self._policy_digest = run.manifest.policy_digest
        return await reserve(self, run)

    SqlReleaseDesk.reserve = reserve_anyway


@weakness
def clamped():
    """No figure lies below 0 %."""
    original = document.to_grid
    document.to_grid = lambda value, *, grid_micro: max(0, original(value, grid_micro=grid_micro))


@weakness
def unsigned_policy():
    """Any signature will do."""
    policies.verify_policy_signature = lambda *_args: None


@weakness
def older_policy():
    """Nobody remembers which policy came last."""
    ledger.adopt_policy = lambda *_args, **_named: False


@weakness
def two_roles():
    """A name that stands twice has the later role."""

    def parse(text):
        read = tomllib.loads(text)
        roles = {}
        for one in read["principal"]:
            role = one["role"]
            roles[one["identity"]] = role if isinstance(role, str) else role[-1]
        return Principals(trust_domain=read["trust_domain"], roles=MappingProxyType(roles))

    policies.parse_principals = reloading.parse_principals = parse


@weakness
def any_name():
    """The first of several names counts."""
    CertificateGatekeeper.identify = lambda self, context: next(
        (self._principals[name] for name in context.get("peer_uri", ()) if name in self._principals), None
    )


@weakness
def anybody():
    """Who is known may call everything."""
    CertificateGatekeeper.decide = lambda _self, _principal, _method: Decision(allowed=True, rules=())


@weakness
def unanchored():
    """A database is believed whatever the log says of it."""
    AnchorBook.compare = lambda _self, _name, _position: None


@weakness
def undigested():
    """Nor is it read whole, and compared with what it says of itself."""
    unanchored()
    anchored_database._verify = lambda *_args, **_named: None


@weakness
def any_cosignature():
    """What calls itself cosigned is taken."""

    async def take(_self, _note):
        return 1

    SqlAuditLog.add_cosignatures = take


@weakness
def no_second_chance():
    """What was in flight when the model died has failed."""
    original = TrialLoop._session

    async def session(self, client):
        finished = await original(self, client)
        while self._suspects:
            suspect = self._suspects.popleft()
            self._conclude(suspect, Tried(suspect.trial, Verdict.ERROR))
        return finished

    TrialLoop._session = session


if __name__ == "__main__":
    WEAKNESSES[sys.argv.pop(1)]()
    main()
