-- Scanning, signing and account settings: what a registry asks for, and what is known about images.
--
-- Times are microseconds since 1970-01-01 UTC. A scan goes with its image, and its findings with the scan.

CREATE TABLE scanning_configurations (
    registry_id INTEGER PRIMARY KEY REFERENCES registries (id),
    scan_type   TEXT NOT NULL CHECK (scan_type IN ('BASIC', 'ENHANCED')),
    rules       TEXT NOT NULL CHECK (json_valid(rules))
) STRICT;

CREATE TABLE signing_configurations (
    registry_id INTEGER PRIMARY KEY REFERENCES registries (id),
    rules       TEXT NOT NULL CHECK (json_valid(rules)),
    put_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE account_settings (
    registry_id INTEGER NOT NULL REFERENCES registries (id),
    name        TEXT NOT NULL,
    value       TEXT NOT NULL,
    PRIMARY KEY (registry_id, name)
) STRICT, WITHOUT ROWID;

-- COMPLETE means that somebody looked: a report was read. Where nobody could look it says so, and has no counts.
CREATE TABLE image_scans (
    repository_id     INTEGER NOT NULL,
    digest            TEXT NOT NULL,
    status            TEXT NOT NULL CHECK (status IN ('COMPLETE', 'UNSUPPORTED_IMAGE')),
    description       TEXT NOT NULL,
    -- When a scan was last asked for; NULL when a report was loaded and nobody asked. A scan is asked for once a day.
    started_at        INTEGER,
    completed_at      INTEGER,
    source_updated_at INTEGER,
    scanner           TEXT,
    report_sha256     TEXT,
    counts            TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(counts)),
    PRIMARY KEY (repository_id, digest),
    FOREIGN KEY (repository_id, digest) REFERENCES manifests (repository_id, digest) ON DELETE CASCADE,
    CHECK ((status = 'COMPLETE') = (completed_at IS NOT NULL) AND (status = 'COMPLETE') = (report_sha256 IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE scan_findings (
    repository_id INTEGER NOT NULL,
    digest        TEXT NOT NULL,
    position      INTEGER NOT NULL,
    name          TEXT NOT NULL,
    severity      TEXT NOT NULL,
    body          TEXT NOT NULL CHECK (json_valid(body)),
    PRIMARY KEY (repository_id, digest, position),
    FOREIGN KEY (repository_id, digest) REFERENCES image_scans (repository_id, digest) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
