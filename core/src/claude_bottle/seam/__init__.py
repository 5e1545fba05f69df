"""The types between core and its plugins: what a backend, a proxy and an agent say to each other."""
