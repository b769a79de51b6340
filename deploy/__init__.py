"""Everything that brings Regulars up on a machine; imported by no service."""
