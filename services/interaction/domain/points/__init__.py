"""Loyalty points: the chain's rules, the ledger of a customer, and what is decided on it. Pure."""
