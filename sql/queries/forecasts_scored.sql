-- How good were our forecasts? Brier score by subject of those whose outcome is known.
-- $subject: one subject; all without it
-- What happened counts at once; that nothing happened, once it was said after the forecast's time.
SELECT
    subject,
    count(*) AS forecasts,
    avg(probability) AS mean_probability,
    avg(CAST(occurred AS INTEGER)) AS share_occurred,
    avg((probability - CAST(occurred AS INTEGER)) ** 2) AS brier_score
FROM forecasts_made
WHERE
    state = 'judged'
    AND subject = coalesce($subject, subject)
GROUP BY subject
ORDER BY subject;
