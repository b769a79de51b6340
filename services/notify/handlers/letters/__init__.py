"""Words for one customer: written, tried out, and sent by an employee."""
