-- Limits: upload sessions of a principal; quotas, and what is used of them.

CREATE INDEX uploads_of_principal ON uploads (principal);

-- How much there may be: of the registry, of each repository, or of one repository by name (the name outlives it).
CREATE TABLE quotas (
    registry_id INTEGER NOT NULL REFERENCES registries (id),
    scope       TEXT NOT NULL CHECK (scope IN ('registry', 'each-repository', 'repository')),
    repository  TEXT NOT NULL DEFAULT '' CHECK ((scope = 'repository') = (repository <> '')),
    resource    TEXT NOT NULL CHECK (resource IN ('images', 'bytes') OR scope = 'registry' AND resource = 'repositories'),
    most        INTEGER NOT NULL CHECK (most >= 0),
    PRIMARY KEY (registry_id, scope, repository, resource)
) STRICT, WITHOUT ROWID;

-- What is used, counted by triggers, so that no way to write can forget to. A blob counts in each repository that has
-- it, at its size; a manifest counts as an image and at its size.
CREATE TABLE repository_usage (
    repository_id INTEGER PRIMARY KEY REFERENCES repositories (id),
    images        INTEGER NOT NULL DEFAULT 0 CHECK (images >= 0),
    bytes         INTEGER NOT NULL DEFAULT 0 CHECK (bytes >= 0)
) STRICT;

CREATE TABLE registry_usage (
    registry_id  INTEGER PRIMARY KEY REFERENCES registries (id),
    repositories INTEGER NOT NULL DEFAULT 0 CHECK (repositories >= 0),
    images       INTEGER NOT NULL DEFAULT 0 CHECK (images >= 0),
    bytes        INTEGER NOT NULL DEFAULT 0 CHECK (bytes >= 0)
) STRICT;

INSERT INTO repository_usage (repository_id, images, bytes)
SELECT r.id,
    (SELECT count(*) FROM manifests m WHERE m.repository_id = r.id),
    (SELECT coalesce(sum(m.payload_bytes), 0) FROM manifests m WHERE m.repository_id = r.id)
        + (SELECT coalesce(sum(b.size_bytes), 0)
           FROM repository_blobs l JOIN blobs b ON b.digest = l.digest WHERE l.repository_id = r.id)
FROM repositories r WHERE r.deleted_at IS NULL;

INSERT INTO registry_usage (registry_id, repositories, images, bytes)
SELECT g.id, count(u.repository_id), coalesce(sum(u.images), 0), coalesce(sum(u.bytes), 0)
FROM registries g
LEFT JOIN repositories r ON r.registry_id = g.id AND r.deleted_at IS NULL
LEFT JOIN repository_usage u ON u.repository_id = r.id
GROUP BY g.id;

CREATE TRIGGER usage_of_registry AFTER INSERT ON registries BEGIN
    INSERT INTO registry_usage (registry_id) VALUES (NEW.id);
END;

CREATE TRIGGER usage_of_repository AFTER INSERT ON repositories BEGIN
    INSERT INTO repository_usage (repository_id) VALUES (NEW.id);
    UPDATE registry_usage SET repositories = repositories + 1 WHERE registry_id = NEW.registry_id;
END;

CREATE TRIGGER usage_of_repository_ends AFTER UPDATE ON repositories
WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL BEGIN
    DELETE FROM repository_usage WHERE repository_id = NEW.id;
    UPDATE registry_usage SET repositories = repositories - 1 WHERE registry_id = NEW.registry_id;
END;

CREATE TRIGGER usage_sums AFTER UPDATE ON repository_usage BEGIN
    UPDATE registry_usage SET images = images + NEW.images - OLD.images, bytes = bytes + NEW.bytes - OLD.bytes
    WHERE registry_id = (SELECT registry_id FROM repositories WHERE id = NEW.repository_id);
END;

CREATE TRIGGER usage_of_manifest AFTER INSERT ON manifests BEGIN
    UPDATE repository_usage SET images = images + 1, bytes = bytes + NEW.payload_bytes
    WHERE repository_id = NEW.repository_id;
END;

CREATE TRIGGER usage_of_manifest_ends AFTER DELETE ON manifests BEGIN
    UPDATE repository_usage SET images = images - 1, bytes = bytes - OLD.payload_bytes
    WHERE repository_id = OLD.repository_id;
END;

CREATE TRIGGER usage_of_blob AFTER INSERT ON repository_blobs BEGIN
    UPDATE repository_usage SET bytes = bytes + (SELECT size_bytes FROM blobs WHERE digest = NEW.digest)
    WHERE repository_id = NEW.repository_id;
END;

CREATE TRIGGER usage_of_blob_ends AFTER DELETE ON repository_blobs BEGIN
    UPDATE repository_usage SET bytes = bytes - (SELECT size_bytes FROM blobs WHERE digest = OLD.digest)
    WHERE repository_id = OLD.repository_id;
END;
