"""The command line: commands are imported when they are called, so that none pays for another."""
