-- Whether a figure is bad news when it is 'higher' or 'lower'; null where it is neither, because
-- it describes the instrument or the data and not what the model leaks or earns.
CREATE OR REPLACE MACRO worse_when(family, metric) AS
CASE
    WHEN
        regexp_matches(
            metric,
            'null|ceiling|threshold|nominal|achieved|jaccard'
            || '|^(in|out)_accuracy|^share_(useful|generalized|hard|undecided)'
        )
        THEN NULL
    WHEN family = 'utility' AND NOT regexp_matches(metric, 'loss|gap') THEN 'lower'
    WHEN regexp_matches(metric, '^held_out_(gain|accuracy)') THEN 'lower'
    WHEN
        family IN (
            'membership', 'memorization', 'information', 'epsilon', 'extraction', 'exposure',
            'utility'
        )
        THEN 'higher'
END;
