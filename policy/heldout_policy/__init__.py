"""What may leave, and who may call: the rules alone. No I/O, no clock, no randomness, no logging."""
