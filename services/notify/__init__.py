"""Owns campaigns and messages; publishes `notification.events.v1`."""
