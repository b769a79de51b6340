"""What rows of a file mean for customers: read, planned and undone, all of it pure."""
