"""The manifest: from the bytes of `bottle.yaml` to frozen data, each problem with its file, line and key."""
