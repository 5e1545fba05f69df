"""A way out of a bottle: mitmproxy, embedded in a process of its own, behind a policy that knows nothing of it."""
