"""The agent plugin `codex`: OpenAI's command-line agent in a bottle."""
