-- How many audits were made each month, with which verdicts?
-- $subject: one subject; all without it
SELECT
    CAST(date_trunc('month', finished_at) AS DATE) AS month_begin,
    subject,
    count(*) AS audits,
    count(*) FILTER (WHERE verdict = 'pass') AS passed,
    count(*) FILTER (WHERE verdict = 'fail') AS failed,
    count(*) FILTER (WHERE verdict = 'inconclusive') AS inconclusive,
    count(*) FILTER (WHERE verdict = 'insufficient evidence') AS insufficient_evidence
FROM audits
WHERE subject = coalesce($subject, subject)
GROUP BY ALL
ORDER BY month_begin DESC, subject;
