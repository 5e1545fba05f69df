"""Plugins: found from metadata alone, selected, and only then imported and judged."""
