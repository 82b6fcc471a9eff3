-- The foundation: registries, repositories, images, tag bindings, uploads, principals, entries.
--
-- Times are microseconds since 1970-01-01 UTC. Principals are written as their ARN, so that history reads the same after
-- a principal is gone. Nothing that says what a tag named, and when, is ever changed or removed: see the triggers.

CREATE TABLE registries (
    id            INTEGER PRIMARY KEY,
    account_id    TEXT NOT NULL CHECK (length(account_id) = 12),
    region        TEXT NOT NULL,
    -- How a refused overwrite is told on the OCI face: 'denied' is 409 DENIED, 'ecr' is 400 TAG_INVALID.
    refusal_style TEXT NOT NULL DEFAULT 'denied' CHECK (refusal_style IN ('denied', 'ecr')),
    -- Whether the name of a held tag that was deleted waits for its digest ('held') or is free again, as in ECR ('free').
    deleted_tags  TEXT NOT NULL DEFAULT 'held' CHECK (deleted_tags IN ('held', 'free')),
    created_at    INTEGER NOT NULL,
    UNIQUE (account_id, region)
) STRICT;

CREATE TABLE repositories (
    id              INTEGER PRIMARY KEY,
    registry_id     INTEGER NOT NULL REFERENCES registries (id),
    name            TEXT NOT NULL,
    tag_mutability  TEXT NOT NULL
        CHECK (tag_mutability IN ('MUTABLE', 'IMMUTABLE', 'IMMUTABLE_WITH_EXCLUSION', 'MUTABLE_WITH_EXCLUSION')),
    scan_on_push    INTEGER NOT NULL DEFAULT 0 CHECK (scan_on_push IN (0, 1)),
    encryption      TEXT NOT NULL DEFAULT '{"encryptionType":"AES256"}',
    created_at      INTEGER NOT NULL,
    created_by      TEXT NOT NULL,
    deleted_at      INTEGER,
    deleted_by      TEXT
) STRICT;
CREATE UNIQUE INDEX live_repository ON repositories (registry_id, name) WHERE deleted_at IS NULL;

CREATE TABLE exclusion_filters (
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    position      INTEGER NOT NULL,
    pattern       TEXT NOT NULL CHECK (length(pattern) BETWEEN 1 AND 128 AND pattern NOT GLOB '*[^0-9a-zA-Z._*-]*'),
    PRIMARY KEY (repository_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE repository_tags (
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    key           TEXT NOT NULL,
    value         TEXT NOT NULL,
    PRIMARY KEY (repository_id, key)
) STRICT, WITHOUT ROWID;

-- Content. A blob's file is named by digest and generation; a generation is never used twice, so that a collection of the
-- old file can never hit the new one.
CREATE TABLE blobs (
    digest     TEXT PRIMARY KEY,
    size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
    generation TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Until its lease ends, a repository keeps a blob that no manifest names (yet): whoever was told that the blob is there has
-- that long to push the manifest.
CREATE TABLE repository_blobs (
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    digest        TEXT NOT NULL REFERENCES blobs (digest),
    leased_until  INTEGER NOT NULL,
    PRIMARY KEY (repository_id, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX repositories_of_blob ON repository_blobs (digest);

-- Files whose blob was collected: the row went first, the file follows.
CREATE TABLE doomed_files (
    digest     TEXT NOT NULL,
    generation TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    PRIMARY KEY (digest, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE manifest_payloads (
    digest  TEXT PRIMARY KEY,
    payload BLOB NOT NULL
) STRICT;

CREATE TABLE manifests (
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    digest        TEXT NOT NULL REFERENCES manifest_payloads (digest),
    media_type    TEXT NOT NULL,
    artifact_type TEXT,
    subject       TEXT,
    payload_bytes INTEGER NOT NULL,
    image_bytes   INTEGER NOT NULL,
    pushed_at     INTEGER NOT NULL,
    pushed_by     TEXT NOT NULL,
    last_pulled_at INTEGER,
    PRIMARY KEY (repository_id, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX referrers ON manifests (repository_id, subject, digest) WHERE subject IS NOT NULL;
CREATE INDEX repositories_of_payload ON manifests (digest);

CREATE TABLE manifest_blobs (
    repository_id INTEGER NOT NULL,
    manifest      TEXT NOT NULL,
    blob          TEXT NOT NULL,
    PRIMARY KEY (repository_id, manifest, blob),
    FOREIGN KEY (repository_id, manifest) REFERENCES manifests (repository_id, digest) ON DELETE CASCADE,
    FOREIGN KEY (repository_id, blob) REFERENCES repository_blobs (repository_id, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX manifests_of_blob ON manifest_blobs (repository_id, blob);

CREATE TABLE manifest_children (
    repository_id INTEGER NOT NULL,
    parent        TEXT NOT NULL,
    child         TEXT NOT NULL,
    PRIMARY KEY (repository_id, parent, child),
    FOREIGN KEY (repository_id, parent) REFERENCES manifests (repository_id, digest) ON DELETE CASCADE,
    FOREIGN KEY (repository_id, child) REFERENCES manifests (repository_id, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX parents_of_child ON manifest_children (repository_id, child);

-- Tag bindings are intervals: a row begins, and at most ends. What a tag named at any time is a query.
CREATE TABLE bindings (
    id            INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    tag           TEXT NOT NULL,
    digest        TEXT NOT NULL,
    bound_at      INTEGER NOT NULL,
    bound_by      TEXT NOT NULL,
    ended_at      INTEGER,
    ended_by      TEXT,
    end_cause     TEXT CHECK (end_cause IN ('moved', 'appended', 'deleted')),
    CHECK ((ended_at IS NULL) = (ended_by IS NULL) AND (ended_at IS NULL) = (end_cause IS NULL))
) STRICT;
-- This key decides which of two racing pushes of a new tag wins.
CREATE UNIQUE INDEX live_binding ON bindings (repository_id, tag) WHERE ended_at IS NULL;
CREATE INDEX live_tags_of_digest ON bindings (repository_id, digest, tag) WHERE ended_at IS NULL;
CREATE INDEX tag_history ON bindings (repository_id, tag, id);

-- A held tag that was deleted: the name waits for its digest. Keyed by name, so that it outlives its repository.
CREATE TABLE tombstones (
    id          INTEGER PRIMARY KEY,
    registry_id INTEGER NOT NULL REFERENCES registries (id),
    repository  TEXT NOT NULL,
    tag         TEXT NOT NULL,
    digest      TEXT NOT NULL,
    deleted_at  INTEGER NOT NULL,
    deleted_by  TEXT NOT NULL,
    closed_at   INTEGER,
    closed_by   TEXT,
    close_cause TEXT CHECK (close_cause IN ('restored', 'forgotten')),
    CHECK ((closed_at IS NULL) = (closed_by IS NULL) AND (closed_at IS NULL) = (close_cause IS NULL))
) STRICT;
CREATE UNIQUE INDEX open_tombstone ON tombstones (registry_id, repository, tag) WHERE closed_at IS NULL;

CREATE TABLE uploads (
    id            TEXT PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    principal     TEXT NOT NULL,
    -- The size of the upload after a part shorter than ECR's least part size came; only the last part may be short.
    short_part_end INTEGER,
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE principals (
    arn        TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    name       TEXT NOT NULL,
    policies   TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (account_id, name)
) STRICT;

CREATE TABLE access_keys (
    id            TEXT PRIMARY KEY,
    principal     TEXT NOT NULL REFERENCES principals (arn) ON DELETE CASCADE,
    sealed_secret TEXT NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What happened, in order, written in the transaction of the act.
CREATE TABLE entries (
    sequence    INTEGER PRIMARY KEY,
    registry_id INTEGER NOT NULL REFERENCES registries (id),
    kind        TEXT NOT NULL,
    repository  TEXT,
    tag         TEXT,
    body        TEXT NOT NULL
) STRICT;
CREATE INDEX entries_of_tag ON entries (registry_id, repository, tag, sequence);

-- The guards. The tag rule stands in core/mutability.py and is applied by one function; these triggers make sure that
-- neither a bug of ours nor a shell on the file can move a held tag or rewrite what happened.

CREATE VIEW held_bindings AS
SELECT b.id, b.repository_id, b.tag, b.digest, r.registry_id, r.name AS repository
FROM bindings b JOIN repositories r ON r.id = b.repository_id
WHERE b.ended_at IS NULL
  AND (r.tag_mutability IN ('IMMUTABLE', 'IMMUTABLE_WITH_EXCLUSION'))
      <> EXISTS (SELECT 1 FROM exclusion_filters f WHERE f.repository_id = r.id AND b.tag GLOB f.pattern);

CREATE TRIGGER binding_begins BEFORE INSERT ON bindings BEGIN
    -- INSERT OR REPLACE deletes rows without firing delete triggers: never let it find one to replace.
    SELECT RAISE(ABORT, 'holdfast: a binding is never written over') WHERE EXISTS (
        SELECT 1 FROM bindings WHERE id = NEW.id);
    SELECT RAISE(IGNORE) WHERE EXISTS (
        SELECT 1 FROM bindings WHERE repository_id = NEW.repository_id AND tag = NEW.tag AND ended_at IS NULL);
    SELECT RAISE(ABORT, 'holdfast: a binding begins live') WHERE NEW.ended_at IS NOT NULL;
    SELECT RAISE(ABORT, 'holdfast: a tag names a manifest of its repository') WHERE NOT EXISTS (
        SELECT 1 FROM manifests WHERE repository_id = NEW.repository_id AND digest = NEW.digest);
    SELECT RAISE(ABORT, 'holdfast: the name waits for the digest that it had') WHERE EXISTS (
        SELECT 1 FROM repositories r
        JOIN registries g ON g.id = r.registry_id AND g.deleted_tags = 'held'
        JOIN tombstones t ON t.registry_id = r.registry_id AND t.repository = r.name AND t.tag = NEW.tag
        WHERE r.id = NEW.repository_id AND t.closed_at IS NULL AND t.digest <> NEW.digest);
END;

CREATE TRIGGER binding_ends BEFORE UPDATE ON bindings BEGIN
    SELECT RAISE(ABORT, 'holdfast: the history of a tag does not change') WHERE OLD.ended_at IS NOT NULL
        OR NEW.id <> OLD.id OR NEW.repository_id <> OLD.repository_id OR NEW.tag <> OLD.tag OR NEW.digest <> OLD.digest
        OR NEW.bound_at <> OLD.bound_at OR NEW.bound_by <> OLD.bound_by OR NEW.ended_at IS NULL;
    SELECT RAISE(ABORT, 'holdfast: a held tag does not move') WHERE NEW.end_cause = 'moved'
        AND EXISTS (SELECT 1 FROM held_bindings h WHERE h.id = OLD.id);
    SELECT RAISE(ABORT, 'holdfast: only a signature tag may grow') WHERE NEW.end_cause = 'appended' AND NOT (
        substr(OLD.tag, 1, 7) IN ('sha256-', 'sha512-') AND length(OLD.tag) >= 71
        AND substr(OLD.tag, 8, 64) NOT GLOB '*[^a-f0-9]*' AND substr(OLD.tag, 72) IN ('', '.sig', '.att', '.sbom'));
    SELECT RAISE(ABORT, 'holdfast: a held tag that is deleted leaves a tombstone') WHERE NEW.end_cause = 'deleted'
        AND EXISTS (
            SELECT 1 FROM held_bindings h JOIN registries g ON g.id = h.registry_id AND g.deleted_tags = 'held'
            WHERE h.id = OLD.id AND NOT EXISTS (
                SELECT 1 FROM tombstones t
                WHERE t.registry_id = h.registry_id AND t.repository = h.repository AND t.tag = h.tag
                  AND t.digest = h.digest AND t.closed_at IS NULL));
END;

CREATE TRIGGER binding_stays BEFORE DELETE ON bindings BEGIN
    SELECT RAISE(ABORT, 'holdfast: the history of a tag is not deleted');
END;

CREATE TRIGGER tombstone_begins BEFORE INSERT ON tombstones BEGIN
    SELECT RAISE(ABORT, 'holdfast: a tombstone is never written over') WHERE NEW.closed_at IS NOT NULL OR EXISTS (
        SELECT 1 FROM tombstones WHERE id = NEW.id OR (
            registry_id = NEW.registry_id AND repository = NEW.repository AND tag = NEW.tag AND closed_at IS NULL));
END;

CREATE TRIGGER tombstone_closes BEFORE UPDATE ON tombstones BEGIN
    SELECT RAISE(ABORT, 'holdfast: a tombstone does not change') WHERE OLD.closed_at IS NOT NULL OR NEW.closed_at IS NULL
        OR NEW.id <> OLD.id OR NEW.registry_id <> OLD.registry_id OR NEW.repository <> OLD.repository
        OR NEW.tag <> OLD.tag OR NEW.digest <> OLD.digest OR NEW.deleted_at <> OLD.deleted_at
        OR NEW.deleted_by <> OLD.deleted_by;
    SELECT RAISE(ABORT, 'holdfast: a tombstone closes when its digest came back') WHERE NEW.close_cause = 'restored'
        AND NOT EXISTS (
            SELECT 1 FROM bindings b JOIN repositories r ON r.id = b.repository_id
            WHERE r.registry_id = OLD.registry_id AND r.name = OLD.repository AND b.tag = OLD.tag
              AND b.digest = OLD.digest AND b.ended_at IS NULL);
END;

CREATE TRIGGER tombstone_stays BEFORE DELETE ON tombstones BEGIN
    SELECT RAISE(ABORT, 'holdfast: a tombstone is not deleted');
END;

CREATE TRIGGER repository_begins BEFORE INSERT ON repositories BEGIN
    SELECT RAISE(ABORT, 'holdfast: a repository is never written over') WHERE EXISTS (
        SELECT 1 FROM repositories WHERE id = NEW.id OR (
            registry_id = NEW.registry_id AND name = NEW.name AND deleted_at IS NULL));
END;

-- No list of columns: `UPDATE OF id` does not hear of an update that calls the id `rowid`.
CREATE TRIGGER repository_keeps_its_name BEFORE UPDATE ON repositories BEGIN
    SELECT RAISE(ABORT, 'holdfast: a repository keeps its name') WHERE NEW.id <> OLD.id
        OR NEW.registry_id <> OLD.registry_id OR NEW.name <> OLD.name OR OLD.deleted_at IS NOT NULL
        OR NEW.created_at <> OLD.created_at OR NEW.created_by <> OLD.created_by;
    SELECT RAISE(ABORT, 'holdfast: a repository is deleted after its tags') WHERE NEW.deleted_at IS NOT NULL
        AND EXISTS (SELECT 1 FROM bindings WHERE repository_id = OLD.id AND ended_at IS NULL);
END;

CREATE TRIGGER repository_stays BEFORE DELETE ON repositories BEGIN
    SELECT RAISE(ABORT, 'holdfast: the record of a repository is not deleted');
END;

CREATE TRIGGER registry_begins BEFORE INSERT ON registries BEGIN
    SELECT RAISE(IGNORE) WHERE EXISTS (
        SELECT 1 FROM registries WHERE account_id = NEW.account_id AND region = NEW.region);
    SELECT RAISE(ABORT, 'holdfast: a registry is never written over') WHERE EXISTS (
        SELECT 1 FROM registries WHERE id = NEW.id);
END;

CREATE TRIGGER registry_keeps_its_name BEFORE UPDATE ON registries BEGIN
    SELECT RAISE(ABORT, 'holdfast: a registry keeps its name') WHERE NEW.id <> OLD.id
        OR NEW.account_id <> OLD.account_id OR NEW.region <> OLD.region OR NEW.created_at <> OLD.created_at;
END;

CREATE TRIGGER registry_stays BEFORE DELETE ON registries BEGIN
    SELECT RAISE(ABORT, 'holdfast: a registry is not deleted');
END;

CREATE TRIGGER manifest_begins BEFORE INSERT ON manifests BEGIN
    SELECT RAISE(ABORT, 'holdfast: a manifest is never written over') WHERE EXISTS (
        SELECT 1 FROM manifests WHERE repository_id = NEW.repository_id AND digest = NEW.digest);
END;

CREATE TRIGGER manifest_is_fixed BEFORE UPDATE ON manifests BEGIN
    SELECT RAISE(ABORT, 'holdfast: a manifest does not change') WHERE NEW.repository_id <> OLD.repository_id
        OR NEW.digest <> OLD.digest OR NEW.media_type <> OLD.media_type OR NEW.artifact_type IS NOT OLD.artifact_type
        OR NEW.subject IS NOT OLD.subject OR NEW.payload_bytes <> OLD.payload_bytes
        OR NEW.image_bytes <> OLD.image_bytes OR NEW.pushed_at <> OLD.pushed_at OR NEW.pushed_by <> OLD.pushed_by;
END;

CREATE TRIGGER tagged_manifest_stays BEFORE DELETE ON manifests BEGIN
    SELECT RAISE(ABORT, 'holdfast: a tag names this manifest') WHERE EXISTS (
        SELECT 1 FROM bindings WHERE repository_id = OLD.repository_id AND digest = OLD.digest AND ended_at IS NULL);
END;

CREATE TRIGGER manifest_payload_begins BEFORE INSERT ON manifest_payloads BEGIN
    SELECT RAISE(IGNORE) WHERE EXISTS (
        SELECT 1 FROM manifest_payloads WHERE digest = NEW.digest OR rowid = NEW.rowid);
END;

CREATE TRIGGER manifest_payload_stays BEFORE DELETE ON manifest_payloads BEGIN
    SELECT RAISE(ABORT, 'holdfast: a repository has this manifest') WHERE EXISTS (
        SELECT 1 FROM manifests WHERE digest = OLD.digest);
END;

CREATE TRIGGER manifest_payload_is_fixed BEFORE UPDATE ON manifest_payloads BEGIN
    SELECT RAISE(ABORT, 'holdfast: the bytes of a manifest do not change');
END;

CREATE TRIGGER entry_begins BEFORE INSERT ON entries BEGIN
    SELECT RAISE(ABORT, 'holdfast: an entry is never written over') WHERE EXISTS (
        SELECT 1 FROM entries WHERE sequence = NEW.sequence);
END;

CREATE TRIGGER entry_is_fixed BEFORE UPDATE ON entries BEGIN
    SELECT RAISE(ABORT, 'holdfast: an entry does not change');
END;

CREATE TRIGGER entry_stays BEFORE DELETE ON entries BEGIN
    SELECT RAISE(ABORT, 'holdfast: an entry is not deleted');
END;
