"""The tables of the bank.

``prompt`` only grows, and a row is visible once ``entry`` names it. An import appends to ``prompt`` batch by batch and
fills ``entry`` in one last transaction, sorted: half an import is never seen, and the index over random handles is
written once. ``unfinished`` says where an import that is under way began. A shard holds prompts of consecutive numbers
from ``first_prompt`` on, and their fingerprints end to end: an index that costs an import nearly nothing, and is read
into memory (16 bytes a prompt) by the next.
"""

from __future__ import annotations

from typing import Final

from heldout_server.anchoring import Content
from heldout_server.domain import Intent

INTENT_CODES: Final = {Intent.HARMFUL: 1, Intent.BENIGN: 2}
"""How an intent is stored. The numbers are fixed for good."""

INTENTS: Final = {code: intent for intent, code in INTENT_CODES.items()}

VERSION: Final = 1
"""Version of a prompt, bound into its seal: a prompt is never edited, so there is only the first."""

MIGRATIONS: Final = (
    """
    CREATE TABLE bank (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        bank_id TEXT NOT NULL,
        fingerprint_key BLOB NOT NULL
    );
    CREATE TABLE shard (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        wrapped_key BLOB NOT NULL,
        first_prompt INTEGER NOT NULL DEFAULT 0,
        fingerprints BLOB NOT NULL DEFAULT x''
    );
    CREATE TABLE prompt (
        number INTEGER PRIMARY KEY,
        handle TEXT NOT NULL,
        unit TEXT NOT NULL,
        intent INTEGER NOT NULL,
        category TEXT NOT NULL,
        language TEXT NOT NULL,
        tags TEXT NOT NULL,
        family TEXT NOT NULL,
        shard INTEGER NOT NULL,
        sealed BLOB NOT NULL
    );
    CREATE TABLE entry (
        handle TEXT PRIMARY KEY,
        number INTEGER NOT NULL,
        retired INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE TABLE family (
        family TEXT NOT NULL,
        number INTEGER NOT NULL,
        PRIMARY KEY (family, number)
    ) WITHOUT ROWID;
    CREATE TABLE unfinished (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        first_prompt INTEGER NOT NULL,
        first_shard INTEGER NOT NULL
    );
    CREATE TABLE epoch (
        number INTEGER PRIMARY KEY,
        epoch_id TEXT NOT NULL UNIQUE,
        salt BLOB NOT NULL,
        commitment TEXT NOT NULL,
        prompts INTEGER NOT NULL,
        units INTEGER NOT NULL
    );
    CREATE TABLE member (
        epoch INTEGER NOT NULL REFERENCES epoch (number),
        position INTEGER NOT NULL,
        prompt INTEGER NOT NULL REFERENCES prompt (number),
        PRIMARY KEY (epoch, position)
    ) WITHOUT ROWID;
    CREATE INDEX member_prompt ON member (prompt);
    """,
    # Prompts that were sent to a server that can log them.
    """
    CREATE TABLE burnt (
        prompt INTEGER PRIMARY KEY REFERENCES prompt (number)
    );
    """,
    # Sketches of a shard's prompts end to end, as its fingerprints are. Prompts from before have none.
    """
    ALTER TABLE shard ADD COLUMN sketches BLOB NOT NULL DEFAULT x'';
    """,
    # Whether an epoch stands in the log. Those from before do, but for a crash at the wrong moment.
    """
    ALTER TABLE epoch ADD COLUMN logged INTEGER NOT NULL DEFAULT 1;
    """,
    # Traces of a shard's prompts, and how many each has of each kind, and those of the cards that were admitted.
    """
    ALTER TABLE shard ADD COLUMN trace_sizes BLOB NOT NULL DEFAULT x'';
    ALTER TABLE shard ADD COLUMN traces BLOB NOT NULL DEFAULT x'';
    CREATE TABLE gated (
        number INTEGER PRIMARY KEY,
        traces BLOB NOT NULL
    );
    """,
    # Technique cards, the newest of each in force, and the epoch at whose opening they were compared with it.
    """
    CREATE TABLE card (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        technique TEXT NOT NULL,
        text TEXT NOT NULL,
        digest TEXT NOT NULL,
        author TEXT NOT NULL,
        state TEXT NOT NULL,
        decided_by TEXT NOT NULL,
        withheld INTEGER NOT NULL,
        proposed_s INTEGER NOT NULL
    );
    CREATE INDEX card_technique ON card (technique, number);
    CREATE TABLE card_review (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        epoch INTEGER NOT NULL
    );
    """,
)

CONTENT: Final = Content(
    rows={
        "bank": "SELECT bank_id, fingerprint_key FROM bank",
        "shard": "SELECT number, wrapped_key, first_prompt, fingerprints FROM shard"
        " WHERE number < coalesce((SELECT first_shard FROM unfinished), number + 1) ORDER BY number",
        "entry": "SELECT handle, number, retired FROM entry ORDER BY handle",
        "epoch": "SELECT number, epoch_id, salt, commitment, prompts, units FROM epoch ORDER BY number",
        "burnt": "SELECT prompt FROM burnt ORDER BY prompt",
        "gated": "SELECT number, traces FROM gated ORDER BY number",
        "card": "SELECT number, technique, digest, author, state, decided_by, withheld FROM card ORDER BY number",
        "card_review": "SELECT epoch FROM card_review",
    }
)
"""What must not be swapped. A prompt's text is bound to its place by its seal, and an epoch's members are checked
against its commitment wherever they are read. Sketches and traces are made from the texts, and too large to digest."""
