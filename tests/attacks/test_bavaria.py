"""BaVarIA: the Student-t predictive, the prior it learns, and its hold with few models."""

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import polygamma

from memory_assets.attacks import bavaria
from memory_assets.attacks.reference import Moments
from memory_assets.attacks.registry import ATTACKS
from memory_assets.statistics.roc import Roc


def _one(value):
    return np.full((1, 1, 1, 1), float(value))


def test_predictive_is_the_normal_averaged_over_its_posterior():
    """Integrated numerically over the variance, the mean being integrated out in closed form."""
    seen = np.array([1.0, 2.5, 0.5])
    mean0, kappa, freedom, scale = 0.3, 0.7, 5.0, 1.4
    prior = bavaria._Prior(_one(mean0), _one(kappa), _one(freedom), _one(scale))
    side = Moments(_one(3), _one(seen.mean()), _one(((seen - seen.mean()) ** 2).sum()))

    def evidence(x):
        """Marginal likelihood of values under the prior."""
        n = x.size
        cover = np.eye(n) + np.ones((n, n)) / kappa

        def given_variance(v):
            inverse_gamma = stats.invgamma.pdf(v, freedom / 2, scale=freedom * scale / 2)
            return stats.multivariate_normal.pdf(x, np.full(n, mean0), v * cover) * inverse_gamma

        return integrate.quad(given_variance, 0, np.inf, limit=200)[0]

    found, reference = (
        [float(bavaria._log_predictive(_one(x), side, prior).item()) for x in (-1.0, 1.2, 6.0)],
        [np.log(evidence(np.append(seen, x)) / evidence(seen)) for x in (-1.0, 1.2, 6.0)],
    )
    # Both without the constant of the Student t, -log(pi) / 2, which cancels in the ratio.
    assert np.array(found) - 0.5 * np.log(np.pi) == pytest.approx(reference, abs=1e-6)


@pytest.mark.parametrize("freedom", [3.0, 8.0, 40.0])
def test_the_prior_is_recovered_from_the_records(freedom, make_signals):
    rng = np.random.default_rng(1)
    models, pairs = 16, 4000
    side = np.arange(models)[:, None] % 2 * np.ones((1, pairs), int)
    spread = np.sqrt(freedom * 2.0 / rng.chisquare(freedom, (pairs, 2)))
    difficulty = rng.normal(1, 3, (pairs, 2))
    pool = make_signals(difficulty + rng.normal(size=(models, pairs, 2)) * spread, side)
    prior = bavaria._prior(pool, False, False, 512)
    assert prior.freedom.item() == pytest.approx(freedom, rel=0.2)
    assert prior.scale.item() == pytest.approx(2.0, rel=0.05)
    assert prior.mean.item() == pytest.approx(1.0, abs=0.15)
    assert prior.kappa.item() == pytest.approx(2.0 / 9, rel=0.15)


def test_records_of_one_spread_pool_it_fully(world):
    """Equal variances: the prior is worth far more than the models of a record."""
    prior = bavaria._prior(world(pairs=2000).models(8), True, False, 512)
    assert prior.freedom.item() > 100
    assert prior.scale.item() == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("y", [1e-4, 0.01, 1.0, 50.0])
def test_inverse_trigamma(y):
    assert polygamma(1, bavaria._inverse_trigamma(np.array(y))) == pytest.approx(y, rel=1e-9)


@pytest.mark.parametrize("models", [4, 8, 16])
def test_with_few_models_it_does_not_fall_apart(models, world):
    """Never behind LiRA with a variance per record, and far ahead of it at 4 models."""
    few = world(pairs=1500, gain=1.5)
    pool, targets = few.models(models), few.models(4, draw=1)

    def auc(name):
        scores = ATTACKS[name].score(pool, targets)
        inside = targets.is_in
        return np.mean(
            [Roc.of(s[m], s[~m]).auc().value for s, m in zip(scores, inside, strict=True)]
        )

    assert auc("bavaria") >= auc("lira_online")
    assert auc("rmia_online") > 0.65
    assert auc("bavaria") > 0.74
    if models == 4:
        assert auc("bavaria") > auc("lira_online") + 0.1
