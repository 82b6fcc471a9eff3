-- Who may do what: roles, groups and policies, the organisation and its guardrails, policies of repositories and registries.
--
-- Identities are named by their ARN, as principals are. Documents are JSON text as it was given, checked before.

ALTER TABLE principals ADD COLUMN tags TEXT NOT NULL DEFAULT '{}';
ALTER TABLE principals ADD COLUMN boundary TEXT;

CREATE TABLE groups (
    arn        TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    name       TEXT NOT NULL,
    policies   TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (account_id, name)
) STRICT;

CREATE TABLE group_members (
    group_arn TEXT NOT NULL REFERENCES groups (arn) ON DELETE CASCADE,
    principal TEXT NOT NULL REFERENCES principals (arn) ON DELETE CASCADE,
    PRIMARY KEY (group_arn, principal)
) STRICT, WITHOUT ROWID;
CREATE INDEX groups_of_principal ON group_members (principal);

CREATE TABLE roles (
    arn                 TEXT PRIMARY KEY,
    account_id          TEXT NOT NULL,
    name                TEXT NOT NULL,
    policies            TEXT NOT NULL,
    trust               TEXT NOT NULL,
    max_session_seconds INTEGER NOT NULL CHECK (max_session_seconds BETWEEN 3600 AND 43200),
    tags                TEXT NOT NULL DEFAULT '{}',
    boundary            TEXT,
    created_at          INTEGER NOT NULL,
    UNIQUE (account_id, name)
) STRICT;

CREATE TABLE managed_policies (
    arn        TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    name       TEXT NOT NULL,
    document   TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (account_id, name)
) STRICT;

-- Which policies a user, group or role has, beside those inside it. A policy may be one that is always there.
CREATE TABLE attachments (
    identity TEXT NOT NULL,
    policy   TEXT NOT NULL,
    PRIMARY KEY (identity, policy)
) STRICT, WITHOUT ROWID;
CREATE INDEX identities_of_policy ON attachments (policy);

-- Issuers of OIDC tokens that roles may trust. Without `jwks`, their keys are fetched from the issuer.
CREATE TABLE oidc_providers (
    arn        TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    issuer     TEXT NOT NULL,
    audiences  TEXT NOT NULL,
    jwks       TEXT,
    created_at INTEGER NOT NULL,
    UNIQUE (account_id, issuer)
) STRICT;

-- One organisation: units below one root, accounts in units, guardrails (service control policies) on all of them.
CREATE TABLE organizations (
    id                 TEXT PRIMARY KEY,
    management_account TEXT NOT NULL,
    created_at         INTEGER NOT NULL
) STRICT;

CREATE TABLE org_units (
    id         TEXT PRIMARY KEY,
    parent     TEXT REFERENCES org_units (id),
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (parent, name)
) STRICT;
CREATE UNIQUE INDEX one_root ON org_units ((parent IS NULL)) WHERE parent IS NULL;

CREATE TABLE org_accounts (
    account_id TEXT PRIMARY KEY CHECK (length(account_id) = 12),
    unit       TEXT NOT NULL REFERENCES org_units (id),
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX accounts_of_unit ON org_accounts (unit);

CREATE TABLE guardrails (
    name       TEXT PRIMARY KEY,
    document   TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- `target` is the id of a unit (the root is one) or an account.
CREATE TABLE guardrail_attachments (
    target    TEXT NOT NULL,
    guardrail TEXT NOT NULL REFERENCES guardrails (name),
    PRIMARY KEY (target, guardrail)
) STRICT, WITHOUT ROWID;

CREATE TABLE repository_policies (
    repository_id INTEGER PRIMARY KEY REFERENCES repositories (id),
    document      TEXT NOT NULL
) STRICT;

CREATE TABLE registry_policies (
    registry_id INTEGER PRIMARY KEY REFERENCES registries (id),
    document    TEXT NOT NULL
) STRICT;

-- A number that differs after each change of what decisions depend on, so that remembered decisions fall at once,
-- whichever code wrote. A column of the table, not of the code: nothing can forget to count.
CREATE TABLE policy_version (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO policy_version (id, version) VALUES (1, 1);

CREATE TRIGGER repository_policy_goes AFTER UPDATE ON repositories
WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL BEGIN
    DELETE FROM repository_policies WHERE repository_id = NEW.id;
    UPDATE policy_version SET version = version + 1;
END;

CREATE TRIGGER attachments_of_user_go AFTER DELETE ON principals BEGIN
    DELETE FROM attachments WHERE identity = OLD.arn;
END;
CREATE TRIGGER attachments_of_group_go AFTER DELETE ON groups BEGIN
    DELETE FROM attachments WHERE identity = OLD.arn;
END;
CREATE TRIGGER attachments_of_role_go AFTER DELETE ON roles BEGIN
    DELETE FROM attachments WHERE identity = OLD.arn;
END;
CREATE TRIGGER guardrails_of_unit_go AFTER DELETE ON org_units BEGIN
    DELETE FROM guardrail_attachments WHERE target = OLD.id;
END;

CREATE TRIGGER version_when_principals_begins AFTER INSERT ON principals BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_principals_changes AFTER UPDATE ON principals BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_principals_ends AFTER DELETE ON principals BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_access_keys_ends AFTER DELETE ON access_keys BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_groups_changes AFTER UPDATE ON groups BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_groups_ends AFTER DELETE ON groups BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_group_members_begins AFTER INSERT ON group_members BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_group_members_changes AFTER UPDATE ON group_members BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_group_members_ends AFTER DELETE ON group_members BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_roles_begins AFTER INSERT ON roles BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_roles_changes AFTER UPDATE ON roles BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_roles_ends AFTER DELETE ON roles BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_managed_policies_begins AFTER INSERT ON managed_policies BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_managed_policies_changes AFTER UPDATE ON managed_policies BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_managed_policies_ends AFTER DELETE ON managed_policies BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_attachments_begins AFTER INSERT ON attachments BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_attachments_changes AFTER UPDATE ON attachments BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_attachments_ends AFTER DELETE ON attachments BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_org_units_begins AFTER INSERT ON org_units BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_org_units_changes AFTER UPDATE ON org_units BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_org_units_ends AFTER DELETE ON org_units BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_org_accounts_begins AFTER INSERT ON org_accounts BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_org_accounts_changes AFTER UPDATE ON org_accounts BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_org_accounts_ends AFTER DELETE ON org_accounts BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_guardrails_begins AFTER INSERT ON guardrails BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_guardrails_changes AFTER UPDATE ON guardrails BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_guardrails_ends AFTER DELETE ON guardrails BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_guardrail_attachments_begins AFTER INSERT ON guardrail_attachments BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_guardrail_attachments_changes AFTER UPDATE ON guardrail_attachments BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_guardrail_attachments_ends AFTER DELETE ON guardrail_attachments BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_repository_policies_begins AFTER INSERT ON repository_policies BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_repository_policies_changes AFTER UPDATE ON repository_policies BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_repository_policies_ends AFTER DELETE ON repository_policies BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_registry_policies_begins AFTER INSERT ON registry_policies BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_registry_policies_changes AFTER UPDATE ON registry_policies BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_registry_policies_ends AFTER DELETE ON registry_policies BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_repository_tags_begins AFTER INSERT ON repository_tags BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_repository_tags_changes AFTER UPDATE ON repository_tags BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_repository_tags_ends AFTER DELETE ON repository_tags BEGIN
    UPDATE policy_version SET version = version + 1;
END;
