"""A launch: prepared, brought up in order, proved, handed over, and undone in reverse."""
