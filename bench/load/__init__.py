"""Load generators: each runs as its own process, so that its CPU is known and it never shares a lock with the rest."""
