"""Every Protocol between rooms: the map of the house.

A room implements the Protocol that carries its name and knows the others only by theirs; ``app`` brings them
together. Nothing here runs.
"""
