"""What the command shows, as pure functions: values in, a :class:`heldout.cli.screens.page.Page` out.

No call, no terminal, no clock. Lines fit 80 columns and read without colour.
"""
