"""One file an attack, with an ``ATTACK`` in it. A new file is run, listed and tested without being named anywhere."""
