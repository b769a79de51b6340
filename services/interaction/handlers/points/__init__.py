"""What can be done with points: the rules, the ledgers, and what follows from facts and merges."""
