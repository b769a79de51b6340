"""Owns segment definitions and memberships; publishes `segment.events.v1`."""
