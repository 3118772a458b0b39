"""Judges: from a prompt and a response to one verdict.

A judge reads model text as data: instructions in it change nothing. It emits a verdict and no reason, keeps no text,
and says ``undecided`` where it cannot tell. Its digest covers everything that shapes its verdicts.

::

    reading.py        a response in the one form that phrases are looked for in
    phrases.py        tables of wordings, and how a passage is searched for them
    shortcuts.py      what saves most of that search, read from the expressions
    tables.py         the ordered tables: refusals, lectures, instructions, turns…
    signs.py          which of them stand in one response, and where
    patterns.py       the judge that goes by them, rule by rule

    labelled.py       labelled responses from a file, and what a judge says of them
    measure.py        how far it agrees: accuracy, kappa, sensitivity, specificity
    measure_table.py  the same as a person reads it, and as a program does
"""

from heldout_server.judges.patterns import PatternJudge

__all__ = ["PatternJudge"]
