"""What may leave a bottle: pure decisions over names, ports, addresses and bytes, without a proxy in sight."""
