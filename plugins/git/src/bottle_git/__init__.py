"""The provisioner `workspace`: a repository goes into a bottle, and what was done in it comes back as branches."""
