"""Scripts for SQLite, applied in the order of their numbers, each once, each in a transaction."""
