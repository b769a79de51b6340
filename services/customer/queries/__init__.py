"""The read side of the customer service: the only files with filters."""
