"""Use cases of the interaction service: one async function or method each."""
