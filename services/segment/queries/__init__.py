"""The read side of the segment service: the only files with filters."""
