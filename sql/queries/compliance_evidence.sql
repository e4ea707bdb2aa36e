-- What evidence is there for each threat of EDPB Opinion 28/2024, paragraph 55, and for 58?
-- $subject: one subject; all without it
-- $version: one version; the newest of each subject without it
-- A threat that no instrument measures asks for no family, and is shown as 'none'.
WITH asked AS (
    SELECT
        unnest(
            [
                { 'paragraph': '55', 'threat': 'membership inference', 'families': ['membership'] },
                { 'paragraph': '55', 'threat': 'attribute inference', 'families': [] },
                { 'paragraph': '55', 'threat': 'exfiltration', 'families': ['extraction'] },
                { 'paragraph': '55', 'threat': 'regurgitation', 'families': ['extraction', 'exposure'] },
                { 'paragraph': '55', 'threat': 'model inversion', 'families': [] },
                { 'paragraph': '55', 'threat': 'reconstruction', 'families': [] }
            ],
            recursive := true
        )
),

chosen AS (
    SELECT
        versions.subject,
        versions.model_version,
        versions.audit_id
    FROM versions
    INNER JOIN latest ON versions.subject = latest.subject
    WHERE
        versions.subject = coalesce($subject, versions.subject)
        AND versions.model_version = coalesce($version, latest.model_version)
),

threats AS (
    SELECT
        chosen.subject,
        chosen.model_version,
        asked.paragraph,
        asked.threat AS what,
        count(measurements.metric) FILTER (WHERE measurements.status <> 'not_run') AS pieces
    FROM chosen
    CROSS JOIN asked
    LEFT JOIN measurements
        ON
            chosen.audit_id = measurements.audit_id
            AND list_contains(asked.families, measurements.family)
    GROUP BY ALL
),

sign_offs AS (
    SELECT
        chosen.subject,
        chosen.model_version,
        '58' AS paragraph,
        'documented and signed off' AS what,
        count(current_actions.action_id) AS pieces
    FROM chosen
    INNER JOIN audits ON chosen.audit_id = audits.audit_id
    LEFT JOIN current_actions
        ON
            chosen.subject = current_actions.subject
            AND chosen.model_version = current_actions.model_version
            AND current_actions.kind = 'sign-off'
            AND current_actions.status = 'done'
            AND signed_for(
                current_actions.audit_id,
                current_actions.recorded_at,
                chosen.audit_id,
                audits.finished_at
            )
    GROUP BY ALL
)

SELECT
    found.*,
    if(audits.verdict = 'insufficient evidence', 'withheld', if(found.pieces > 0, 'evidence', 'none'))
        AS state
FROM (
    FROM threats
    UNION ALL
    FROM sign_offs
) AS found
INNER JOIN chosen
    ON found.subject = chosen.subject AND found.model_version = chosen.model_version
INNER JOIN audits ON chosen.audit_id = audits.audit_id
ORDER BY found.subject, found.model_version, found.paragraph, found.what;
