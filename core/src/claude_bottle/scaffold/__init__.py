"""What `bottle plugins new` writes: the project of a plugin that loads, plans, and says what is still to be written."""
