"""What a clause found when it was evaluated: the value that it compared, and what that rests on."""
