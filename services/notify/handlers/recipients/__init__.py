"""What is known of a recipient at the moment of sending, and whose date comes round."""
