"""Use cases of the customer service: one async function each."""
