-- Limits: how many upload sessions a principal has open.

CREATE INDEX uploads_of_principal ON uploads (principal);
