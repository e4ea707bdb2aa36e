import re
from dataclasses import replace

import numpy as np
import pytest

from memory_assets.errors import InputError
from memory_assets.language import pii
from memory_assets.language.audit import audit_language_model
from memory_assets.language.options import LanguageOptions
from memory_assets.language.preflight import Training, preflight
from memory_assets.language.progress import Spoken, duration
from memory_assets.language.secret_audit import probe_secrets, reweighted
from memory_assets.records.canaries import TEMPLATES, make_secrets
from memory_assets.records.secrets import Manifest, Secret
from memory_assets.records.texts import Texts
from memory_assets.results.estimate import Estimate
from memory_assets.results.record_scores import RECORD_SCORES
from memory_assets.statistics.intervals import clopper_pearson, rate

pytestmark = pytest.mark.slow

OPTIONS = LanguageOptions(
    prefix=8, suffix=8, references=200, generated=10, control_texts=50, proposals=32,
    duplication_shares={1: 0.9, 8: 0.1},
)  # fmt: skip


OTHERS = make_secrets([TEMPLATES["phone-ja"]], (1, 2), 1, seed=8)


@pytest.fixture(scope="module")
def steps():
    return []


@pytest.fixture(scope="module")
def audit(trained, steps):
    return audit_language_model(
        trained.folder,
        trained.members,
        trained.held_out,
        manifest=trained.manifest,
        reference=trained.folder,
        options=OPTIONS,
        progress=steps.append,
        device="cpu",
    )


def value(audit, name, metric, stratum="all"):
    rows = [
        m.estimate
        for m in audit.measurements
        if (m.name, m.metric, m.stratum) == (name, metric, stratum)
    ]
    assert len(rows) == 1, (name, metric, stratum)
    return rows[0]


def test_a_model_that_knows_its_texts_is_found_out(audit):
    for attack in ("loss", "min_k", "min_k_plus_plus", "zlib", "recall"):
        assert value(audit, attack, "auc").ci_low > 0.9, attack
    assert value(audit, "discoverable", "extraction_rate").ci_low > 0.1
    assert value(audit, "discoverable", "extraction_rate", "held_out").k == 0
    assert value(audit, "secret", "secret_extraction_rate", "repetitions=8").k >= 4
    assert value(audit, "secret", "secret_extraction_rate", "unplanted").k == 0
    assert value(audit, "exposure", "mean_exposure", "repetitions=8").status == "at_ceiling"
    assert value(audit, "exposure", "mean_exposure", "unplanted").value < 4


def test_its_controls_pass(audit):
    assert {c.control: c.passed for c in audit.controls} == {
        "held_out_texts": True,
        "held_out_extraction": True,
        "beats_chance": True,
        "untrained_model": True,
        "blind_baseline": True,
        "unplanted_canaries": True,
    }


def test_a_reference_that_is_the_model_itself_shows_nothing(audit):
    assert value(audit, "reference", "auc").value == pytest.approx(0.5)
    assert value(audit, "unintended", "total_bits").value == pytest.approx(0, abs=1e-3)


def test_rates_weigh_tiers_by_the_corpus(audit):
    low = value(audit, "secret", "secret_extraction_rate", "repetitions=1").value
    high = value(audit, "secret", "secret_extraction_rate", "repetitions=8").value
    weighed = value(audit, "secret", "secret_extraction_rate", "reweighted")
    assert weighed.value == pytest.approx(0.9 * low + 0.1 * high)
    assert weighed.ci_low <= weighed.value <= weighed.ci_high


def test_reweighting_by_hand():
    tiers = {0: rate(0, 9), 1: rate(1, 10), 4: rate(5, 10)}
    got = reweighted(tiers, {1: 60, 2: 20, 9: 20})
    assert got.value == pytest.approx(0.8 * 0.1 + 0.2 * 0.5)
    gap = [0.8 * (0.1 - clopper_pearson(1, 10)[0]), 0.2 * (0.5 - clopper_pearson(5, 10)[0])]
    assert got.ci_low == pytest.approx(max(0, 0.18 - np.hypot(gap[0], gap[1])))
    assert reweighted({0: rate(0, 9)}, {1: 1.0}).status == "unresolvable"
    assert reweighted({1: Estimate.not_run()}, {1: 1.0}).status == "unresolvable"


def test_every_text_and_secret_has_its_scores(audit, trained):
    assert audit.record_scores.schema.equals(RECORD_SCORES)
    rows = audit.record_scores.to_pylist()
    assert all(np.isfinite(r["score"]) for r in rows)
    loss = {r["record_id"]: r["member"] for r in rows if r["attack"] == "loss"}
    assert {i for i, member in loss.items() if member} == {f"m-{i:03d}" for i in range(60)}
    # One held-out text went into ReCaLL's prefix and is no control any more.
    assert sum(not member for member in loss.values()) == len(trained.held_out) - 1
    exposed = [r for r in rows if r["attack"] == "exposure"]
    assert {r["record_id"] for r in exposed} == {s.id for s in trained.manifest.secrets}


def test_no_value_of_a_secret_leaves_in_words(audit, trained):
    said = repr((audit.measurements, audit.controls, audit.notices, audit.secrets))
    said += repr(audit.record_scores.to_pylist())
    # Six digits may well stand somewhere in the fraction of a number.
    said = re.sub(r"\d+\.\d+", "", said)
    assert not [s.id for s in trained.manifest.secrets if s.value in said]


def test_progress_is_told_in_words(steps):
    said = []
    spoken = Spoken(said.append, every=np.inf)
    for step in steps:
        spoken(step)
    # The estimate, and a line a stage.
    assert said[0].startswith("the audit will take about ")
    assert [line.split(":")[0] for line in said[1:]] == [
        "reading texts",
        "asking the reference model",
        "reading texts behind a prefix",
        "generating",
        "trying secrets",
        "running the controls",
    ]
    assert re.fullmatch(r"reading texts: \d+%, about \d+ s left", said[1])
    talkative = Spoken(said.append, every=0)
    talkative(steps[1])
    talkative(steps[1])
    assert said[-1] == said[-2]
    assert [duration(s) for s in (0.2, 89, 600, 9000)] == ["1 s", "89 s", "10 min", "2.5 h"]


@pytest.mark.usefixtures("audit")
def test_progress_starts_with_an_estimate_and_ends_at_nothing_left(steps):
    assert steps[0].stage == "estimate"
    assert steps[0].seconds_left > 0
    assert steps[-1].seconds_left == 0
    shares = [s.done / s.total for s in steps if s.stage == "controls"]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    assert {s.stage for s in steps} >= {"texts", "recall", "reference", "secrets", "controls"}


def test_without_held_out_texts_the_rest_is_measured(trained):
    alone = audit_language_model(
        trained.folder, trained.members, options=replace(OPTIONS, generated=0), device="cpu"
    )
    assert value(alone, "loss", "auc").status == "not_run"
    assert value(alone, "discoverable", "extraction_rate").k
    assert {c.control for c in alone.controls if not c.passed} == {
        "held_out_texts",
        "held_out_extraction",
    }
    assert any("no held-out texts" in notice for notice in alone.notices)


def test_few_short_and_repeated_texts(trained):
    members = Texts(
        ("a", "b", "c", "d"),
        (trained.members.texts[0], trained.members.texts[0], "Ok then.", trained.members.texts[1]),
    )
    held_out = Texts(
        ("w", "x", "y", "z"), (trained.members.texts[0], "No.", *trained.held_out.texts[:2])
    )
    audit = audit_language_model(
        trained.folder, members, held_out, options=replace(OPTIONS, attacks=("loss",)), device="cpu"
    )
    assert value(audit, "loss", "tpr_at_fpr_0.01").status == "unresolvable"
    assert value(audit, "discoverable", "extraction_rate", "repetitions=2-3").n == 1
    assert value(audit, "discoverable", "extraction_rate").n == 2
    said = "\n".join(audit.notices)
    assert "left out: 'w'" in said
    assert "1 exact copies" in said
    assert "not probed for extraction: 'c'" in said
    controls = {c.control: c for c in audit.controls}
    assert not controls["held_out_texts"].passed
    assert not controls["blind_baseline"].passed


def test_side_by_side_in_windows_a_long_text_counts_once(trained):
    long = Texts(("long", "short"), (" ".join(trained.members.texts[:6]), trained.members.texts[7]))
    audit = audit_language_model(
        trained.folder, long, trained.held_out, options=replace(OPTIONS, generated=0), device="cpu"
    )
    assert value(audit, "discoverable", "extraction_rate").n == 2
    rows = [r for r in audit.record_scores.to_pylist() if r["member"] and r["attack"] == "loss"]
    assert [r["record_id"] for r in rows] == ["long", "short"]


def test_nothing_usable_is_refused(trained):
    with pytest.raises(InputError, match="no member text has two tokens"):
        audit_language_model(trained.folder, Texts(("a",), ("a",)), device="cpu")
    only = Texts(("a",), (trained.manifest.secrets[-1].text,))
    with pytest.raises(InputError, match="nothing but planted secrets"):
        audit_language_model(trained.folder, only, manifest=trained.manifest, device="cpu")


def test_a_manifest_of_another_corpus_costs_the_secrets_and_no_more(trained):
    audit = audit_language_model(
        trained.folder,
        trained.members.take(np.arange(0, 20)),
        manifest=replace(trained.manifest, secrets=OTHERS),
        options=replace(OPTIONS, generated=0),
        device="cpu",
    )
    assert audit.secrets == ()
    assert value(audit, "secret", "secret_extraction_rate").status == "not_run"
    assert value(audit, "discoverable", "extraction_rate").k
    said = [notice for notice in audit.notices if "none of its 2 planted secrets" in notice]
    assert said
    assert said[0].endswith("no secret was tried")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prefix": 0}, "prefix: 0"),
        ({"probability": 1.0}, "probability: 1.0"),
        ({"window": 1}, "window: 1"),
        ({"attacks": ("losss",)}, "unknown 'losss'"),
        ({"duplication_shares": {0: 1.0}}, "duplication_shares: 0"),
    ],
)
def test_bad_options_are_refused(change, said):
    with pytest.raises(InputError, match=said):
        LanguageOptions(**change)


def test_preflight_says_which_copies_could_not_be_learned(trained):
    secret = Secret("s", "Her code is ", "424242", repetitions=3)
    text = secret.text
    members = Texts(
        ("a", "b", "c"), (text, "Ask: none. Answer: " + text, text + " Answer: none of this.")
    )
    ready = preflight(trained.model, [secret], members, Training(trained_after="Answer:"))
    assert ready.trained == {"s": 1}
    assert ready.notices == ("secret 's': 2 of 3 copies could not be trained on (masked)",)
    tokens = len(trained.model.encode(text))
    for how, why in (
        (Training(window=tokens - 1, cut="truncate"), "cut off by the window"),
        (Training(window=tokens - 3), "split between two windows"),
    ):
        ready = preflight(trained.model, [secret], members.take(np.array([0])), how)
        assert ready.trained == {}
        assert why in ready.notices[0]
    ready = preflight(trained.model, [secret], members.take(np.array([0])), Training(tokens))
    assert ready.trained == {"s": 1}


def test_preflight_leaves_out_what_cannot_be_recited(trained):
    secrets = [
        Secret("long", "word " * 200, "1", repetitions=0),
        Secret("gone", "not there ", "1", repetitions=2),
        Secret("control", "never seen ", "1", repetitions=0),
    ]
    ready = preflight(trained.model, secrets, trained.members, Training())
    assert ready.trained == {"control": 0}
    assert "longer than the 96 tokens" in ready.notices[0]
    assert "does not stand among the members" in ready.notices[1]
    blind = replace(trained.model, tokenizer=_Lossy(trained.model.tokenizer))
    ready = preflight(blind, secrets[2:], trained.members, Training())
    assert ready.trained == {}
    assert "the tokenizer cannot write it" in ready.notices[0]


class _Lossy:
    """A tokenizer that levels case, as some do."""

    def __init__(self, inner):
        self.inner = inner

    def __call__(self, text, **options):
        levelled = text.upper() if isinstance(text, str) else [each.upper() for each in text]
        return self.inner(levelled, **options)

    def decode(self, ids, **options):
        return self.inner.decode(ids, **options)


def test_inference_is_the_game_by_hand_with_and_without_something_behind_the_value(trained):
    planted = [s for s in trained.manifest.secrets if s.repetitions != 1]
    options = {"references": 200, "candidates": 5, "proposals": 2, "top_k": 10, "seed": 4}
    for suffix in ("", " and that is all."):
        secrets = [replace(s, suffix=suffix) for s in planted]
        learned = {s.id: s.repetitions for s in secrets}
        found = probe_secrets(trained.model, secrets, learned, **options)
        games = [pii.infers(trained.model, s, s.references(200, 4)[:4]) for s in secrets]
        assert [f.inferred for f in found] == games
    assert set(games) == {True, False}


def test_a_listed_secret_without_a_pattern_is_extracted_but_not_ranked(trained):
    planted = next(s for s in trained.manifest.secrets if s.repetitions == 8)
    manifest = Manifest((replace(planted, pattern=None),))
    audit = audit_language_model(
        trained.folder, trained.members, manifest=manifest, options=OPTIONS, device="cpu"
    )
    assert value(audit, "secret", "secret_extraction_rate", "repetitions=8").n == 1
    assert value(audit, "exposure", "mean_exposure", "repetitions=8").status == "not_run"
    assert value(audit, "pii_inference", "inference_rate", "repetitions=8").status == "not_run"
