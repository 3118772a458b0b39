"""The appliance: it holds the bank, tests checkpoints, and lets out only what the policy allows.

Arrows point down and rooms on one floor never import each other::

    cli                          the heldout-server command
    attack                       the adversary: attacks that a tester runs against an appliance of this make
    app | installation           composition root: builds every room from the config; what init makes
    api | watch                  the gRPC edge; the watcher of checkpoint sources
    evaluation | release         plan, trials, verdicts; aggregate, decide, debit, record, publish
    bank checkpoints runtimes techniques judges outcomes window audit keys identity statistics telemetry
    anchored_database            a database that is held to a log
    card_document                the canonical form of a technique card
    ports | config | database | sealing | environment | tested_system | hardening
    anchoring                    where a database stands, as a log has it
    domain                       the words that every room shares
    errors

Rooms meet only through the Protocols in ``ports``, which ``app`` fills.
"""
