"""claude-bottle's pipelock plugin."""
