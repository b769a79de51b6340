"""What the chain decides at run time of its customers' records, one stream for each kind.

One stream per kind, so that names, titles and paths are checked against each other in one decision.
Kinds are looked at together as a `Configuration` (`chosen.py`).
"""
