"""Owns customers; publishes `customer.events.v1`. Deals follow."""
