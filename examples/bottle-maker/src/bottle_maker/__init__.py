"""claude-bottle agent: maker."""
