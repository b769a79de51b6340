"""Decisions of the interaction service: one file for each kind of stream. Pure."""
