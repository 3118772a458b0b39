"""The adversary, shipped: attacks that a tester can run against the appliance they are asked to trust.

An attack is one small file in :mod:`heldout_server.attack.attacks`, and its ``ATTACK`` says all about it: a name, one
line that explains it, and what it does on a :class:`~heldout_server.attack.stage.Stage`. The stage is a real appliance
in a process of its own, with a bank of mild prompts that carry canaries, a checkpoint source that the attacker fills,
and every role's certificate. An attack tries to learn what it may not, and reports a
:class:`~heldout_server.attack.attack.Finding`: what it tried, what it learned, and whether the boundary held.

What an attack finds broken is a defect of the appliance. An attack never reaches past the machine it runs on.
"""
