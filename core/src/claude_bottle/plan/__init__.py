"""From a manifest to a frozen, printable plan: no side effects in here."""
