"""The dispatcher and its steps, from an open message to what a channel said."""
