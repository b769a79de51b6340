"""Budgets of campaigns and branches, counted before anything goes out."""
