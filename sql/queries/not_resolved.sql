-- What could not be shown, with how many units, and how many it would take?
-- $subject: one subject; all without it
-- $version: one version; the newest of each subject without it
SELECT
    versions.subject,
    versions.model_version,
    measurements.family,
    measurements.name,
    measurements.stratum,
    measurements.metric,
    measurements.status,
    measurements.n,
    -- A rate a at a false positive rate needs at least 1/a non-members.
    CASE
        WHEN measurements.status = 'unresolvable'
            THEN
                CAST(
                    ceil(
                        1 / TRY_CAST(
                            nullif(regexp_extract(measurements.metric, 'fpr_([0-9.e-]+)$', 1), '')
                            AS DOUBLE
                        )
                    ) AS BIGINT
                )
    END AS n_needed_at_least
FROM measurements
INNER JOIN versions ON measurements.audit_id = versions.audit_id
INNER JOIN latest ON versions.subject = latest.subject
WHERE
    measurements.status <> 'ok'
    AND versions.subject = coalesce($subject, versions.subject)
    AND versions.model_version = coalesce($version, latest.model_version)
ORDER BY
    versions.subject, measurements.status, measurements.family, measurements.name,
    measurements.stratum, measurements.metric;
