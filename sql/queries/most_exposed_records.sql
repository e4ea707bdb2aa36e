-- Which training records are the most exposed, by memorization and by the attacks' ranks?
-- $subject: one subject; all without it
-- $version: one version; the newest of each subject without it
-- $records: how many records of each subject; 20 without it
WITH ranked AS (
    SELECT
        versions.subject,
        versions.model_version,
        record_scores.*,
        percent_rank() OVER (
            PARTITION BY record_scores.audit_id, record_scores.attack
            ORDER BY record_scores.score
        ) AS score_rank
    FROM record_scores
    INNER JOIN versions ON record_scores.audit_id = versions.audit_id
    INNER JOIN latest ON versions.subject = latest.subject
    WHERE
        versions.subject = coalesce($subject, versions.subject)
        AND versions.model_version = coalesce($version, latest.model_version)
),

exposed AS (
    SELECT
        subject,
        model_version,
        record_id,
        any_value(memorization) AS memorization,
        any_value(memorization_low) AS memorization_low,
        any_value(memorization_high) AS memorization_high,
        any_value(influence) AS influence,
        count(score) FILTER (WHERE score_rank >= 0.9) AS attacks_in_top_tenth,
        count(score) AS attacks,
        avg(score_rank) AS mean_score_rank
    FROM ranked
    WHERE member
    GROUP BY subject, model_version, record_id
)

SELECT *
FROM exposed
QUALIFY
    row_number() OVER (
        PARTITION BY subject
        ORDER BY memorization_low DESC NULLS LAST, mean_score_rank DESC NULLS LAST, record_id
    ) <= coalesce(CAST($records AS BIGINT), 20)
ORDER BY subject, memorization_low DESC NULLS LAST, mean_score_rank DESC NULLS LAST, record_id;
