-- Whether a signature is for this audit. One that does not say which audit was seen counts for an
-- audit that was there when it was given.
CREATE OR REPLACE MACRO signed_for(signed_audit, signed_at, audit_id, finished_at) AS
coalesce(signed_audit = audit_id, signed_at >= finished_at);
