"""Decisions of the customer service: one file for each kind of stream. Pure."""
