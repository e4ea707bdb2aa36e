-- What is worse than in the version before it, beyond both intervals.
CREATE OR REPLACE VIEW regressions AS
SELECT * EXCLUDE (change)
FROM changes
WHERE change = 'worse';
COMMENT ON VIEW regressions IS 'Figures that are worse than in the version before, beyond both intervals.';
