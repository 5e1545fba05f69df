"""The proxy's own process: imports first, then one message, the drop of privileges, and connections."""
