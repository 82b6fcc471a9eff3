"""The numbered scripts that make and change the database's schema, a folder an engine."""
