-- What do audits cost in time, by subject, kind and device?
-- $subject: one subject; all without it
SELECT
    subject,
    kind,
    device,
    count(*) AS audits,
    count(DISTINCT pool_digest) AS pools,
    sum(date_diff('millisecond', started_at, finished_at)) / 1000 AS seconds,
    median(date_diff('millisecond', started_at, finished_at)) / 1000 AS median_seconds,
    max(date_diff('millisecond', started_at, finished_at)) / 1000 AS longest_seconds
FROM audits
WHERE subject = coalesce($subject, subject)
GROUP BY subject, kind, device
ORDER BY seconds DESC, subject;
