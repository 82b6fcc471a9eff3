-- Care: what the server must remember of itself, beyond a restart.

-- read-only: why the registry takes no changes, absent while it does. scrub: how far the check of all bytes is.
CREATE TABLE care (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
