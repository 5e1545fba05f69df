"""claude-bottle's proxy `pipelock`."""
