"""claude-bottle's backend `docker`."""
