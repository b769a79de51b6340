"""Owns interactions, so far receipts, and imports; publishes `interaction.events.v1`."""
