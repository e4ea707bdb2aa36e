-- Which weights were audited more than once, and did code, data or settings change the verdict?
-- $subject: one subject; all without it
SELECT
    subject,
    model_version,
    model_digest,
    finished_at,
    verdict,
    lag(verdict) OVER again AS verdict_before,
    coalesce(code_version <> lag(code_version) OVER again, false) AS code_changed,
    coalesce(data_digest <> lag(data_digest) OVER again, false) AS data_changed,
    coalesce(pool_digest <> lag(pool_digest) OVER again, false) AS pool_changed,
    coalesce(config_digest <> lag(config_digest) OVER again, false) AS settings_changed
FROM audits
WHERE subject = coalesce($subject, subject)
WINDOW again AS (PARTITION BY subject, model_version, model_digest ORDER BY finished_at, audit_id)
QUALIFY count(*) OVER (PARTITION BY subject, model_version, model_digest) > 1
ORDER BY subject, model_version, finished_at;
