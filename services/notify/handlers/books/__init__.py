"""What was decided and noted, as the own store has it, never older than a second."""
