"""What runs inside a bottle: the standard library and this package alone, Python 3.9 or newer."""
