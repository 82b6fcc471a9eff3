-- Lifecycle policies, the storage class of images, and whose pulls do not count.

-- Whether a lifecycle run may expire an image that a held tag names: 'keep' (the default) or 'expire'.
ALTER TABLE registries ADD COLUMN lifecycle_held_tags TEXT NOT NULL DEFAULT 'keep'
    CHECK (lifecycle_held_tags IN ('keep', 'expire'));

-- The last archiving and the last restoration; an image that is not ACTIVE is not given to pulls.
ALTER TABLE manifests ADD COLUMN status TEXT NOT NULL DEFAULT 'ACTIVE'
    CHECK (status IN ('ACTIVE', 'ARCHIVED', 'ACTIVATING'));
ALTER TABLE manifests ADD COLUMN archived_at INTEGER;
ALTER TABLE manifests ADD COLUMN activated_at INTEGER;
CREATE INDEX images_at_rest ON manifests (repository_id, digest, status) WHERE status <> 'ACTIVE';

-- `removals` counts what can make an image of the repository count for less: images and tags that ended or went to rest.
-- A run that planned at one number must not apply its counts at another.
CREATE TABLE lifecycle_policies (
    repository_id     INTEGER PRIMARY KEY REFERENCES repositories (id),
    policy            TEXT NOT NULL,
    put_at            INTEGER NOT NULL,
    put_by            TEXT NOT NULL,
    due_at            INTEGER NOT NULL,
    last_evaluated_at INTEGER,
    removals          INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX due_lifecycle_policies ON lifecycle_policies (due_at);

CREATE TRIGGER image_went AFTER DELETE ON manifests BEGIN
    UPDATE lifecycle_policies SET removals = removals + 1 WHERE repository_id = OLD.repository_id;
END;

CREATE TRIGGER image_changed_class AFTER UPDATE OF status ON manifests WHEN NEW.status <> OLD.status BEGIN
    UPDATE lifecycle_policies SET removals = removals + 1 WHERE repository_id = NEW.repository_id;
END;

CREATE TRIGGER tag_went AFTER UPDATE OF ended_at ON bindings WHEN NEW.ended_at IS NOT NULL BEGIN
    UPDATE lifecycle_policies SET removals = removals + 1 WHERE repository_id = NEW.repository_id;
END;

-- Principals whose pulls leave the time of an image's last pull as it is: scanners and the like.
CREATE TABLE pull_time_exclusions (
    registry_id INTEGER NOT NULL REFERENCES registries (id),
    principal   TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (registry_id, principal)
) STRICT, WITHOUT ROWID;
