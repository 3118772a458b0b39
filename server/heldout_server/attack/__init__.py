"""The adversary, shipped: attacks that a tester can run against the appliance they are asked to trust.

An attack is one small file in :mod:`heldout_server.attack.attacks`, and its ``ATTACK`` says all about it: a name, one
line that explains it, and what it does on a :class:`~heldout_server.attack.stage.Stage`. The stage is a real appliance
in a process of its own, with a bank of mild prompts that carry canaries, a checkpoint source that the attacker fills,
and every role's certificate. An attack tries to learn what it may not, and reports a
:class:`~heldout_server.attack.attack.Finding`: what it tried, what it learned, and whether the boundary held.

What an attack finds broken is a defect of the appliance. An attack never reaches past the machine it runs on.

What attacks are made of::

    attack        what an attack is, and what it finds; running plays many and lays out what they found
    stage         an appliance under attack: call it, fill it, stop it
    process       its process, where it is ours; shifted_clock serves it at a wrong time
    setting       what it is like: policy, config, files; furnishing is what stands in it
    scene         the stage that attacks share, and the models that they submit to it
    caller        one connection, raw bytes; certificates are of every wrong kind, patience waits
    commands      the client as a person would run it; lying stands between it and the appliance
    hearing       all that a role can be told; search finds words in it
    runs          runs by hand; policies are signed anew, images are put back
    mechanism     the desk without its databases, for what takes thousands of releases: unit_game, least_squares,
                  subtraction
"""
