"""What time alone changes of a customer: pure, from a document and what happens to both."""
