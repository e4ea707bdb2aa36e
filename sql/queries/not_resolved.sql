-- What could not be shown, with how many units, and how many it would take?
-- $subject: one subject; all without it
-- $version: one version; the newest of each subject without it
SELECT
    versions.subject,
    versions.model_version,
    figures.family,
    figures.attack,
    figures.population,
    figures.metric,
    figures.status,
    figures.n,
    -- A rate a at a false positive rate needs at least 1/a non-members.
    CASE
        WHEN figures.status = 'unresolvable'
            THEN
                CAST(ceil(1 / nullif(figures.threshold, 0)) AS BIGINT)
    END AS n_needed_at_least
FROM figures
INNER JOIN versions ON figures.audit_id = versions.audit_id
INNER JOIN latest ON versions.subject = latest.subject
WHERE
    figures.status <> 'ok'
    AND versions.subject = coalesce($subject, versions.subject)
    AND versions.model_version = coalesce($version, latest.model_version)
ORDER BY
    versions.subject, figures.status, figures.family, figures.attack,
    figures.population, figures.metric;
