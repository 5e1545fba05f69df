"""The provisioner `skills`: what the user taught an agent, copied into a bottle."""
