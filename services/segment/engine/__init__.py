"""The engine: profiles, how a customer is lived forward, and what the runner calls."""
