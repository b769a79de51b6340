"""Owns segment definitions, memberships and static lists.

Publishes `segment.events.v1` and `list.events.v1`.
"""
