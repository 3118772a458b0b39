"""``heldout audit tail --follow``: new entries as they come, on the screen or on their way to a SIEM."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from heldout.cli.session import Session, UsageProblem, write_note
from heldout.errors import Unavailable

if TYPE_CHECKING:
    from heldout.siem import Follower, Sink
    from heldout.verification import Entry

LONGEST_PAUSE_S: Final = 60.0
OWN_METHODS: Final = "/heldout.v1.AuditService/"


@dataclass(kw_only=True)
class Following:
    """Follow one log, and hand on what comes.

    Attributes:
        session: of the command.
        log: whose log, ``vault`` or ``window``.
        syslog, otlp: where to; the screen if neither is given.
        ca: PEM file of the receiver's authority.
        cursor: file that holds the index of the next entry.
        own: hand on the calls of this command itself too; they make the window's log grow with every look.
        as_json: one line of JSON an entry.
    """

    session: Session
    log: str
    syslog: str | None
    otlp: str | None
    ca: Path | None
    cursor: Path | None
    own: bool
    as_json: bool

    def run(self, number: int, *, every_s: float) -> None:
        """Go on until interrupted.

        Args:
            number: entries before now to begin with, where there is no cursor.
            every_s: seconds between two looks; longer after each failure.
        """
        from heldout.siem import Follower, SinkError  # noqa: PLC0415 - help must be fast

        profile = self.session.profile()
        sink = self._sink()
        origin = profile.vkeys[self.log].partition("+")[0]
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(self.session.client())
            if sink is not None:
                stack.callback(sink.close)
            start = self._start(origin)
            if start is None:
                start = max(0, client.audit.head(self.log).head.size - number)
            follower = Follower(client.audit, self.log, start=start)
            pause_s = every_s
            while True:
                try:
                    self._hand_on(follower, sink, origin, identity=profile.identity)
                    pause_s = every_s
                except (SinkError, Unavailable) as error:
                    follower = Follower(client.audit, self.log, start=follower.next)
                    pause_s = min(2 * pause_s, max(LONGEST_PAUSE_S, every_s))
                    write_note(f"{error}; again in {pause_s:.0f} s, from entry {follower.next}")
                self.session.pause(pause_s)

    def _hand_on(self, follower: Follower, sink: Sink | None, origin: str, *, identity: str) -> None:
        for batch in follower.read():
            entries = [entry for entry in batch if self.own or not _is_own(entry, identity)]
            if sink is None:
                self._print(entries)
            elif entries:
                sink.send(entries, origin=origin)
            self._keep(origin, batch[-1].index + 1)

    def _print(self, entries: Sequence[Entry]) -> None:
        from heldout.cli.screens.audit import entry_data, entry_line  # noqa: PLC0415 - help must be fast

        for entry in entries:
            line = json.dumps(entry_data(entry), ensure_ascii=False) if self.as_json else entry_line(entry)
            sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def _sink(self) -> Sink | None:
        from heldout.siem import OtlpSink, SyslogSink, parse_target  # noqa: PLC0415 - help must be fast

        authority = None if self.ca is None else str(self.ca)
        if self.syslog and self.otlp:
            raise UsageProblem("--syslog and --otlp do not go together: follow twice, with a cursor each")
        if self.syslog:
            return SyslogSink(parse_target(self.syslog), authority=authority)
        return OtlpSink(self.otlp, now_s=time.time, authority=authority) if self.otlp else None

    def _start(self, origin: str) -> int | None:
        if self.cursor is None or not self.cursor.exists():
            return None
        try:
            document = json.loads(self.cursor.read_bytes())
            if document["log"] == origin and isinstance(document["next"], int) and document["next"] >= 0:
                return int(document["next"])
        except (ValueError, KeyError, TypeError):
            pass
        raise UsageProblem(f"{self.cursor}: is no cursor of {origin}")

    def _keep(self, origin: str, following: int) -> None:
        from heldout.state_files import replace_file  # noqa: PLC0415 - help must be fast

        if self.cursor is not None:
            content = json.dumps({"log": origin, "next": following}) + "\n"
            replace_file(self.cursor, content.encode(), durable=True)


def _is_own(entry: Entry, identity: str) -> bool:
    return entry.identity == identity and entry.name.startswith(OWN_METHODS)
