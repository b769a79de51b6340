"""Read models of the customer service, as pure folds."""
