"""The calls of the contract, one module an audience, with typed answers.

Each takes a :class:`heldout.calls.Caller`, so every answer here has a receipt that was checked. Nothing in here reads
files, prints, or decides what a figure means.
"""
