"""Epochs: frozen sets of prompts in a random order, under a commitment. Runs on the database's thread."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from heldout_policy.shortage import EpochSizes
from heldout_server.bank.schema import INTENTS, VERSION
from heldout_server.bank.shards import Shards
from heldout_server.database import Connection
from heldout_server.domain import Epoch, Intent, Member, SecretText
from heldout_server.errors import IntegrityError, NotFound, WrongState
from heldout_server.ports.bank import Admission, EpochOffer
from heldout_server.sealing import context

SALT_BYTES: Final = 32
_RANK_BYTES: Final = 16  # two of a million random ranks collide once in 10^26 openings


class Named(NamedTuple):
    """Say what the next epoch would name first, in order, and the number of the bank's newest prompt."""

    categories: tuple[str, ...]
    newest: int


def read_names(connection: Connection) -> Named:
    """Return which categories an epoch would have now that none had before: rows of a table that is published.

    What an earlier epoch named is out, and is judged no more: a prompt that comes later and resembles it would keep
    epochs shut, and nothing in.
    """
    categories = connection.execute(
        "SELECT prompt.category FROM entry JOIN prompt USING (number) WHERE NOT entry.retired"
        " EXCEPT SELECT prompt.category FROM member JOIN prompt ON prompt.number = member.prompt ORDER BY 1"
    ).fetchall()
    newest = connection.execute("SELECT coalesce(max(number), 0) FROM entry").fetchone()[0]
    return Named(tuple(category for (category,) in categories), newest)


def commit(salt: bytes, handles: Iterable[str]) -> str:
    """Return hex SHA-256 over the salt and the handles in order, each ended by a line feed, which no handle holds."""
    digest = hashlib.sha256(salt)
    for handle in handles:
        digest.update(handle.encode() + b"\n")
    return digest.hexdigest()


def open_epoch(
    connection: Connection,
    *,
    epoch_id: str,
    random_bytes: Callable[[int], bytes],
    named: Named,
    admit: Admission | None = None,
) -> Epoch:
    """Freeze all live prompts, in an order that says nothing of them.

    Args:
        connection: inside a transaction.
        epoch_id: its name.
        random_bytes: for the order and the salt.
        named: what was new, and what the bank held, when its categories were compared with its prompts.
        admit: is told the units first, and may refuse by what it raises.

    Raises:
        WrongState: there is no live prompt, the live prompts are just those of the newest epoch, or there are others
            than were compared.
    """
    if read_names(connection).newest != named.newest:
        raise WrongState("prompts came in while the categories were compared: open it again", reason="BANK_CHANGED")
    live = connection.execute(
        "SELECT entry.number, entry.handle, prompt.unit, prompt.intent FROM entry JOIN prompt USING (number)"
        " WHERE NOT entry.retired"
    ).fetchall()
    if len(live) != connection.execute("SELECT count(*) FROM entry WHERE NOT retired").fetchone()[0]:
        raise IntegrityError("prompts of the bank are missing: an old page was put back", reason="PROMPTS_MISSING")
    if not live:
        raise WrongState("the bank has no live prompt", reason="BANK_EMPTY")
    newest = connection.execute("SELECT coalesce(max(number), 0) FROM epoch").fetchone()[0]
    frozen = {row[0] for row in connection.execute("SELECT prompt FROM member WHERE epoch = ?", (newest,))}
    if frozen == {row[0] for row in live}:
        raise WrongState("nothing changed since the newest epoch", reason="EPOCH_UNCHANGED")

    if admit is not None:
        admit(read_offer(connection))

    ranks = random_bytes(_RANK_BYTES * len(live))
    order = sorted(range(len(live)), key=lambda place: ranks[place * _RANK_BYTES : (place + 1) * _RANK_BYTES])
    salt = random_bytes(SALT_BYTES)
    epoch = Epoch(
        epoch_id=epoch_id,
        number=newest + 1,
        commitment=commit(salt, (live[place][1] for place in order)),
        prompts=len(live),
        units=len({row[2] for row in live}),
    )
    connection.execute(
        "INSERT INTO epoch (number, epoch_id, salt, commitment, prompts, units, logged) VALUES (?, ?, ?, ?, ?, ?, 0)",
        (epoch.number, epoch.epoch_id, salt, epoch.commitment, epoch.prompts, epoch.units),
    )
    connection.executemany(
        "INSERT INTO member (epoch, position, prompt) VALUES (?, ?, ?)",
        ((epoch.number, position, live[place][0]) for position, place in enumerate(order)),
    )
    return epoch


def read_offer(connection: Connection) -> EpochOffer:
    """Return the units that an epoch opened now would have."""
    units: dict[Intent, set[str]] = {intent: set() for intent in Intent}
    categories: dict[str, str] = {}
    for unit, intent, category in connection.execute(
        "SELECT DISTINCT prompt.unit, prompt.intent, prompt.category FROM entry JOIN prompt USING (number)"
        " WHERE NOT entry.retired"
    ):
        units[INTENTS[intent]].add(unit)
        if INTENTS[intent] is Intent.HARMFUL:
            categories[unit] = category  # its only one: an import sees to it
    return EpochOffer(
        units={intent: frozenset(names) for intent, names in units.items()},
        sizes=EpochSizes(harmful=Counter(categories.values()), benign=len(units[Intent.BENIGN])),
    )


def list_epochs(connection: Connection, *, unlogged: bool = False) -> tuple[Epoch, ...]:
    """Return all epochs, oldest first; or those that are not known to stand in the log."""
    rows = connection.execute(
        "SELECT epoch_id, number, commitment, prompts, units FROM epoch WHERE NOT (? AND logged) ORDER BY number",
        (unlogged,),
    )
    return tuple(
        Epoch(epoch_id=epoch_id, number=number, commitment=commitment, prompts=prompts, units=units)
        for epoch_id, number, commitment, prompts, units in rows
    )


def list_members(connection: Connection, epoch_id: str) -> tuple[Member, ...]:
    """Return the members of an epoch in order, checked against its commitment.

    Raises:
        NotFound: there is no such epoch.
        IntegrityError: the stored members are not those that were frozen.
    """
    number = _number(connection, epoch_id)
    rows = connection.execute(
        "SELECT member.position, prompt.handle, prompt.unit, prompt.intent, prompt.category"
        " FROM member JOIN prompt ON prompt.number = member.prompt WHERE member.epoch = ? ORDER BY member.position",
        (number,),
    )
    members = tuple(
        Member(position=position, handle=handle, unit=unit, intent=INTENTS[intent], category=category)
        for position, handle, unit, intent, category in rows
    )
    salt, commitment = connection.execute("SELECT salt, commitment FROM epoch WHERE number = ?", (number,)).fetchone()
    if commit(salt, (member.handle for member in members)) != commitment:
        raise IntegrityError(f"the members of {epoch_id} are not those it committed to", reason="EPOCH_CHANGED")
    return members


def verify_members(connection: Connection) -> None:
    """Check that no membership is missing: by them an import sees which texts have spent of their budget.

    Raises:
        IntegrityError: an old page of the table or of its index was put back.
    """
    frozen = connection.execute("SELECT coalesce(sum(prompts), 0) FROM epoch").fetchone()[0]
    for index in ("NOT INDEXED", "INDEXED BY member_prompt"):
        if connection.execute(f"SELECT count(prompt) FROM member {index}").fetchone()[0] != frozen:  # noqa: S608 - fixed
            raise IntegrityError(
                "memberships of an epoch are missing: an old page was put back", reason="EPOCH_CHANGED"
            )


def read_texts(
    connection: Connection, epoch_id: str, *, start: int, stop: int, bank_id: str, shards: Shards
) -> tuple[SecretText, ...]:
    """Return the texts of the members at positions ``start`` up to ``stop``, in order; fewer past the end.

    Raises:
        NotFound: there is no such epoch.
        IntegrityError: a text is not what was sealed.
    """
    rows = connection.execute(
        "SELECT prompt.handle, prompt.shard, prompt.sealed FROM member JOIN prompt ON prompt.number = member.prompt"
        " WHERE member.epoch = ? AND member.position >= ? AND member.position < ? ORDER BY member.position",
        (_number(connection, epoch_id), start, stop),
    ).fetchall()
    place = context(bank_id, "bank")
    return tuple(
        shards.find(connection, shard).open(sealed, place + context(handle, VERSION, "text"))
        for handle, shard, sealed in rows
    )


def burn(connection: Connection, epoch_id: str) -> int:
    """Record every prompt of an epoch as burnt, and return how many were not yet.

    Raises:
        NotFound: there is no such epoch.
    """
    burnt = connection.execute(
        "INSERT INTO burnt (prompt) SELECT prompt FROM member WHERE epoch = ? ON CONFLICT (prompt) DO NOTHING",
        (_number(connection, epoch_id),),
    )
    return int(burnt.rowcount)


def _number(connection: Connection, epoch_id: str) -> int:
    row = connection.execute("SELECT number FROM epoch WHERE epoch_id = ?", (epoch_id,)).fetchone()
    if row is None:
        raise NotFound("there is no such epoch")
    return int(row[0])
