"""Techniques: how a prompt is put to a model, alone or stacked, and the proof that it arrives.

Everything here is pure and synchronous: no I/O, no clock, and no randomness but what a seed fixes. The room refuses to
send what it cannot prove: a technique that would drop, cut or change a prompt raises ``NotDeliverable``, so that a
broken technique never looks like a safe model. It judges nothing, and keeps no text.

::

    technique.py   what a technique is
    templates.py   fixed texts around a prompt, and the way back
    stacking.py    which technique may be put over which, and why not; all that compose
    wording.py     whether a line reads as English, for ciphers that keep letters
    registry.py    the techniques by id: checks, deliveries, decoding
    library/       one file a technique
"""

from heldout_server.techniques.registry import TechniqueLibrary

__all__ = ["TechniqueLibrary"]
