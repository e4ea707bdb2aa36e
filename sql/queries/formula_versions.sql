-- Which formula versions are in use, since when, and in how many audits?
-- $subject: one subject; all without it
SELECT
    figures.family,
    figures.attack,
    figures.formula_version,
    count(DISTINCT figures.audit_id) AS audits,
    min(audits.finished_at) AS first_used,
    max(audits.finished_at) AS last_used
FROM figures
INNER JOIN audits ON figures.audit_id = audits.audit_id
WHERE audits.subject = coalesce($subject, audits.subject)
GROUP BY figures.family, figures.attack, figures.formula_version
ORDER BY figures.family, figures.attack, figures.formula_version;
