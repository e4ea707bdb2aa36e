-- Which attacks point at the same records? Rank correlation of their scores, pair by pair.
-- $subject: one subject; all without it
-- $version: one version; the newest of each subject without it
WITH ranked AS (
    SELECT
        versions.subject,
        versions.model_version,
        record_scores.record_id,
        record_scores.attack,
        rank() OVER by_score
        + (count(*) OVER (PARTITION BY record_scores.audit_id, record_scores.attack, record_scores.score) - 1) / 2
            AS score_rank,
        percent_rank() OVER by_score >= 0.9 AS in_top_tenth
    FROM record_scores
    INNER JOIN versions ON record_scores.audit_id = versions.audit_id
    INNER JOIN latest ON versions.subject = latest.subject
    WHERE
        versions.subject = coalesce($subject, versions.subject)
        AND versions.model_version = coalesce($version, latest.model_version)
        AND record_scores.score IS NOT NULL
    WINDOW
        by_score AS (
            PARTITION BY record_scores.audit_id, record_scores.attack
            ORDER BY record_scores.score
        )
)

SELECT
    one.subject,
    one.model_version,
    one.attack,
    other.attack AS other_attack,
    corr(one.score_rank, other.score_rank) AS rank_correlation,
    count(*) FILTER (WHERE one.in_top_tenth AND other.in_top_tenth)
    / nullif(count(*) FILTER (WHERE one.in_top_tenth OR other.in_top_tenth), 0)
        AS top_tenth_overlap,
    count(*) AS records
FROM ranked AS one
INNER JOIN ranked AS other
    ON
        one.subject = other.subject
        AND one.record_id = other.record_id
        AND one.attack < other.attack
GROUP BY one.subject, one.model_version, one.attack, other.attack
ORDER BY one.subject, rank_correlation;
