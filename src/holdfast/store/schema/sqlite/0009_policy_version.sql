-- The scope of a registry policy is an account setting: decisions depend on it.
CREATE TRIGGER version_when_account_settings_begins AFTER INSERT ON account_settings BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_account_settings_changes AFTER UPDATE ON account_settings BEGIN
    UPDATE policy_version SET version = version + 1;
END;
CREATE TRIGGER version_when_account_settings_ends AFTER DELETE ON account_settings BEGIN
    UPDATE policy_version SET version = version + 1;
END;
