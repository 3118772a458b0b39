"""The gRPC edge: the one door of the appliance.

Every call goes through the same chain in ``edge``: identify, decide, record the intent, parse and validate, act, gate,
serialize, record the outcome, answer with a receipt. Servicers only translate between messages and the rooms. The edge
refuses what has no authorization rule, no deadline, no disclosure class, and no place in the log.
"""
