"""Campaigns: asked for, begun by their triggers, and brought to their ends."""
