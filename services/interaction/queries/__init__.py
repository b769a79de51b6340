"""The read side of the interaction service: the only files with filters."""
