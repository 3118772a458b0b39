"""Hardening: what a process asks the kernel to keep from it, and from others about it.

``process`` is for processes of our own: no core dump, no debugger, memory that is not swapped. ``contained`` starts a
process that is not ours, a model's server, with Landlock and seccomp around it. All of it works without root, and
nothing here knows what it protects.
"""
