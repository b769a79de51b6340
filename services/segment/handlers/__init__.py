"""Use cases of the segment service: one async function each."""
