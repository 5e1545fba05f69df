"""claude-bottle backend: unshare."""
