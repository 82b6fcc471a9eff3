-- What flows between registries: replication, pull-through caching, and templates of the repositories that they make.
--
-- Times are microseconds since 1970-01-01 UTC.

-- Settings that a repository takes when it is made on somebody's behalf: by a pull through the cache, by replication, by
-- a push. `settings` is what the operations of ECR tell, as JSON.
CREATE TABLE creation_templates (
    registry_id INTEGER NOT NULL REFERENCES registries (id),
    prefix      TEXT NOT NULL,
    settings    TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (registry_id, prefix)
) STRICT, WITHOUT ROWID;

-- Credentials for other registries; the secret is sealed with the key that lies outside the database.
CREATE TABLE upstream_credentials (
    registry_id INTEGER NOT NULL REFERENCES registries (id),
    name        TEXT NOT NULL,
    username    TEXT NOT NULL,
    sealed      TEXT NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (registry_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE pull_through_rules (
    registry_id     INTEGER NOT NULL REFERENCES registries (id),
    prefix          TEXT NOT NULL,
    url             TEXT NOT NULL,
    upstream        TEXT,
    upstream_prefix TEXT NOT NULL DEFAULT 'ROOT',
    credential      TEXT,
    custom_role     TEXT,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (registry_id, prefix)
) STRICT, WITHOUT ROWID;

-- What the upstream said when it was asked last, for a tag that came from it. `cached` is what came; `upstream` is what
-- the tag names there now, NULL when it names nothing; they differ where a held tag does not follow: that is drift.
CREATE TABLE upstream_tags (
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    tag           TEXT NOT NULL,
    url           TEXT NOT NULL,
    cached        TEXT NOT NULL,
    upstream      TEXT,
    checked_at    INTEGER NOT NULL,
    drifted_at    INTEGER,
    PRIMARY KEY (repository_id, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX drifted_tags ON upstream_tags (repository_id, tag) WHERE drifted_at IS NOT NULL;

CREATE TABLE replication_configurations (
    registry_id   INTEGER PRIMARY KEY REFERENCES registries (id),
    configuration TEXT NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;

-- Where a destination is that this server does not host.
CREATE TABLE replication_peers (
    registry_id INTEGER NOT NULL REFERENCES registries (id),
    region      TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    url         TEXT NOT NULL,
    credential  TEXT,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (registry_id, region, account_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE replication_backfills (
    id           TEXT PRIMARY KEY,
    registry_id  INTEGER NOT NULL REFERENCES registries (id),
    region       TEXT NOT NULL,
    account_id   TEXT NOT NULL,
    status       TEXT NOT NULL
        CHECK (status IN ('PREPARING', 'IN_PROGRESS', 'COMPLETE', 'FAILED', 'STOPPING', 'STOPPED')),
    failure_code TEXT,
    started_at   INTEGER NOT NULL,
    ended_at     INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX backfills_of_registry ON replication_backfills (registry_id, started_at, id);

-- The queue and the record of replications: written in the transaction of the push or deletion, worked off by one worker,
-- kept for DescribeImageReplicationStatus. `act` is what to do at the destination; '' stands for no tag, no backfill.
CREATE TABLE replications (
    id             INTEGER PRIMARY KEY,
    registry_id    INTEGER NOT NULL REFERENCES registries (id),
    repository     TEXT NOT NULL,
    act            TEXT NOT NULL CHECK (act IN ('copy', 'delete-tag', 'delete-image')),
    digest         TEXT NOT NULL,
    tag            TEXT NOT NULL,
    region         TEXT NOT NULL,
    account_id     TEXT NOT NULL,
    backfill       TEXT NOT NULL DEFAULT '',
    status         TEXT NOT NULL CHECK (status IN ('WAITING', 'RUNNING', 'COMPLETE', 'FAILED')),
    failure_code   TEXT,
    failure_reason TEXT,
    attempts       INTEGER NOT NULL DEFAULT 0,
    due_at         INTEGER NOT NULL,
    changed_at     INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_replication
    ON replications (registry_id, repository, digest, tag, act, region, account_id, backfill);
CREATE INDEX due_replications ON replications (due_at, id) WHERE status = 'WAITING';
CREATE INDEX replications_of_backfill ON replications (backfill, status, id) WHERE backfill <> '';
