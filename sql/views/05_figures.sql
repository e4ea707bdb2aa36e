-- Whether a family of instruments measures what leaks, and not what a model earns.
CREATE OR REPLACE MACRO is_leakage(family) AS
family IN ('membership', 'memorization', 'information', 'epsilon', 'extraction', 'exposure');

-- Whether the interval of a figure speaks of retrained models and the very records at hand, so that
-- it says nothing of other records: comparable only while the data are the same.
CREATE OR REPLACE MACRO of_these_records(family, attack) AS
family = 'memorization' AND attack IN ('feldman_zhang', 'gain', 'kinds', 'counterfactual');

-- A metric with the rate or value at which it is reported, as people write it: tpr_at_fpr_0.01.
CREATE OR REPLACE MACRO metric_name(metric, threshold) AS
metric || coalesce('_' || format('{:g}', threshold), '');

-- Every measurement beside what the registry says of its metric. `metric` is written out, `measure`
-- is its name in the registry. `worse` is null where two models cannot be compared by a figure: it
-- describes the instrument or the data, or stands at the threshold that shadow models choose, at
-- which each model has a false-positive rate of its own.
CREATE OR REPLACE VIEW figures AS
SELECT
    measurements.* REPLACE (
        metric_name(measurements.metric, measurements.threshold) AS metric
    ),
    measurements.metric AS measure,
    CASE
        WHEN coalesce(metrics.reported_at, '') <> 'shadow threshold' THEN metrics.worse
    END AS worse,
    metrics.is_percent
FROM measurements
LEFT JOIN metrics ON measurements.metric = metrics.metric;
COMMENT ON VIEW figures IS 'Every measurement beside what is known of its metric.';
COMMENT ON COLUMN figures.metric IS 'What is reported, written out: auc, tpr_at_fpr_0.01.';
COMMENT ON COLUMN figures.measure IS 'The same without its rate, as in metrics.';
COMMENT ON COLUMN figures.worse IS 'higher or lower, the worse side of two models; null: they are not compared by it.';
COMMENT ON COLUMN figures.is_percent IS 'Whether people write it as a percentage.';
