"""Measure container registries side by side; see ``bench/README.md``."""
