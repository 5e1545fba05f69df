"""Agent plugins of claude-bottle, and what every agent plugin of ours shares."""
