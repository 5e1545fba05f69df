"""The provisioner `ssh`: the agent uses keys that it can never read."""
