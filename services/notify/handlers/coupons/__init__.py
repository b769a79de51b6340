"""Codes: given with messages, in print and at the desk, and redeemed by receipts."""
