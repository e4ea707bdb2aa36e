-- Whether a family of instruments measures what leaks, and not what a model earns.
CREATE OR REPLACE MACRO is_leakage(family) AS
family IN ('membership', 'memorization', 'information', 'epsilon', 'extraction', 'exposure');

-- Whether a figure is bad news when it is 'higher' or 'lower'; null where it is neither, because
-- it describes the instrument or the data and not what the model leaks or earns.
CREATE OR REPLACE MACRO worse_when(family, metric) AS
CASE
    WHEN
        regexp_matches(
            metric,
            'null|ceiling|threshold|nominal|achieved|jaccard|near_tie'
            || '|^(in|out|member)_accuracy|^share_(useful|generalized|hard|undecided)'
        )
        THEN NULL
    WHEN family = 'utility' AND NOT regexp_matches(metric, 'loss|gap') THEN 'lower'
    WHEN regexp_matches(metric, '^held_out_(gain|accuracy)') THEN 'lower'
    WHEN is_leakage(family) OR family = 'utility' THEN 'higher'
END;

-- Whether the interval of a figure speaks of retrained models and the very records at hand, so that
-- it says nothing of other records: comparable only while the data are the same.
CREATE OR REPLACE MACRO of_these_records(family, name) AS
family = 'memorization' AND name IN ('feldman_zhang', 'gain', 'kinds', 'counterfactual');
