"""What messages say: texts by language and channel, and what becomes of them for one customer."""
