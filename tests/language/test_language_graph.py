"""A language model through the real graph, in this process."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import dagster as dg
import pytest
import yaml
from tiny_language import TINY
from typer.testing import CliRunner

from dagster_project import auditing
from dagster_project.cli import app
from dagster_project.components.language_assets import language_assets
from dagster_project.components.options import SubjectGraph
from dagster_project.definitions import with_portfolio
from dagster_project.subjects import read_subjects
from memory_assets.errors import InputError
from memory_assets.history.bundle import AuditBundle
from memory_assets.language_subjects import LanguageModelSubject
from memory_assets.records.secrets import Manifest
from memory_assets.records.texts import load_texts
from memory_assets.reports.page import verify

# They share one audit, so they belong on one worker.
GROUP = pytest.mark.xdist_group("language graph")
PROBES = {"prefix": 8, "suffix": 8, "references": 200, "generated": 5, "control_texts": 50}


@dataclass(frozen=True)
class Notes:
    """A project with one language model, and its own home."""

    root: Path
    home: Path

    def audit(self) -> auditing.AuditRun:
        subjects = read_subjects(self.root)

        def definitions(root: Path) -> dg.Definitions:
            subject = subjects["tiny"]
            assert isinstance(subject, LanguageModelSubject)
            graph = dg.Definitions(assets=language_assets(SubjectGraph(subject, root)))
            return with_portfolio(graph, [subject], root)

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MEMORY_ASSETS_HOME", str(self.home))
            patch.setenv("DAGSTER_HOME", str(self.home / "dagster"))
            patch.setattr(auditing, "build_definitions", definitions)
            return auditing.run_audits(list(subjects.values()), self.root, None, lambda _: None)

    def page(self, lang: str) -> Path:
        return self.home / "reports" / "tiny" / "v1" / f"{lang}.html"


def make(folder: Path, trained, **changes: object) -> Notes:
    data = folder / "data"
    (data / "models").mkdir(parents=True)
    trained.members.write(data / "members.jsonl")
    trained.held_out.write(data / "held_out.jsonl")
    trained.manifest.write(data / "canaries.json")
    shutil.copytree(trained.folder, data / "models" / "v1")
    attributes = {
        "subject": "tiny",
        "members": {"path": "data/members.jsonl", "id": "id"},
        "held_out": {"path": "data/held_out.jsonl", "id": "id"},
        "manifest": "data/canaries.json",
        "checkpoints": "data/models",
        "probes": PROBES,
        "gate": {"extraction_rate": 0.05, "secret_extraction_rate": 0.5},
        "profile": "healthcare-us",
    } | changes
    file = folder / "dagster_project" / "defs" / "tiny" / "defs.yaml"
    file.parent.mkdir(parents=True)
    component = {"type": "dagster_project.LanguageModelAudit", "attributes": attributes}
    file.write_text(yaml.safe_dump(component))
    return Notes(folder, folder / "home")


@pytest.fixture(scope="module")
def notes(trained, tmp_path_factory) -> Notes:
    return make(tmp_path_factory.mktemp("notes"), trained)


@pytest.fixture(scope="module")
def first(notes) -> auditing.AuditRun:
    return notes.audit()


@pytest.mark.slow
@GROUP
def test_the_bundle_is_whole(first):
    bundle = first.audits[0].bundle
    assert isinstance(bundle, AuditBundle)
    assert bundle.audit.kind == "language_model"
    assert bundle.audit.verdict == "fail"
    assert {c.control for c in bundle.controls if c.passed} == {
        "held_out_texts",
        "held_out_extraction",
        "untrained_model",
        "blind_baseline",
        "unplanted_canaries",
    }
    assert {"membership", "extraction", "exposure", "memorization", "gate"} <= {
        m.family for m in bundle.measurements
    }
    ids = set(bundle.record_scores["audit_id"].to_pylist())
    assert ids == {bundle.audit.audit_id}
    assert first.audits_added == 1


@pytest.mark.slow
@GROUP
def test_a_limit_is_held_against_texts_and_planted_secrets_only(first):
    gates = {m.metric: m for m in first.audits[0].bundle.measurements if m.family == "gate"}
    assert gates["extraction_rate"].stratum == "all"
    assert gates["secret_extraction_rate"].stratum == "repetitions=8"


@pytest.mark.slow
@GROUP
@pytest.mark.parametrize(
    ("lang", "heading"), [("en", "What the model recites"), ("ja", "モデルが復唱するもの")]
)
@pytest.mark.usefixtures("first")
def test_the_report_shows_what_is_recited_and_no_value(notes, trained, lang, heading):
    page = notes.page(lang).read_text(encoding="utf-8")
    assert verify(notes.page(lang))
    assert heading in page
    exposed = page[page.index('id="recited-exposed"') :]
    recited = [s for s in trained.manifest.secrets if s.repetitions == 8]
    assert any(s.masked() in exposed for s in recited)
    cells = page[page.index('id="recited"') : page.index('id="losses"')]
    assert not [s.id for s in trained.manifest.secrets if f">{s.value}<" in cells]


@pytest.mark.slow
@GROUP
@pytest.mark.usefixtures("first")
def test_a_second_run_reads_no_model_again(notes):
    again = notes.audit()
    assert [a.reused for a in again.audits] == [True]
    assert again.audits_added == 0


@pytest.mark.slow
@GROUP
@pytest.mark.usefixtures("first")
def test_another_limit_judges_anew_and_reads_no_model(notes):
    found = notes.home / "artifacts" / "language-findings"
    before = {path.name: path.stat().st_mtime_ns for path in found.iterdir()}
    file = notes.root / "dagster_project" / "defs" / "tiny" / "defs.yaml"
    text = file.read_text()
    file.write_text(text.replace("extraction_rate: 0.05", "extraction_rate: 1.0", 1))
    try:
        again = notes.audit()
    finally:
        file.write_text(text)
    assert [a.reused for a in again.audits] == [False]
    assert {path.name: path.stat().st_mtime_ns for path in found.iterdir()} == before


SHADOW_CONTROLS = {"negative", "positive", "recipe_match"}


@pytest.fixture(scope="module")
def shadowed(trained, tmp_path_factory) -> Notes:
    """The same project with the recipe that its model was really trained by."""
    recipe = asdict(TINY.of_model) | {"tokenizer": "data/tokenizer"}
    made = make(tmp_path_factory.mktemp("shadowed"), trained, recipe=recipe, pool={"models": 4})
    shutil.copytree(
        trained.folder,
        made.root / "data" / "tokenizer",
        ignore=shutil.ignore_patterns("*.safetensors", "config.json", "generation_config.json"),
    )
    return made


@pytest.fixture(scope="module")
def with_shadows(shadowed) -> auditing.AuditRun:
    return shadowed.audit()


@pytest.mark.slow
@GROUP
def test_shadow_models_add_attacks_memorization_and_controls(with_shadows, trained):
    bundle = with_shadows.audits[0].bundle
    assert with_shadows.blocks_trained == 1
    assert bundle.audit.pool_digest
    controls = {c.control: c for c in bundle.controls}
    assert set(controls) >= SHADOW_CONTROLS
    assert [c.detail for c in controls.values() if not c.passed] == []
    found = {(m.name, m.metric, m.stratum): m.estimate for m in bundle.measurements}
    for attack in ("calibrated_loss", "lira_online_fixed", "lira_offline_fixed", "rmia_offline"):
        auc = found[attack, "auc", "all"]
        assert auc.value is not None
        assert auc.value > 0.9
    gain = found["counterfactual", "mean_loss_gain", "all"]
    assert gain.ci_low is not None
    assert gain.ci_low > 0
    # Two rows of one name would be two formulas under one name.
    assert len(found) == len(bundle.measurements)
    rows = bundle.record_scores.to_pylist()
    scored = {r["record_id"] for r in rows if r["attack"] == "lira_online_fixed"}
    remembered = {r["record_id"] for r in rows if r["memorization"] is not None}
    assert scored == remembered
    assert not scored & {s.id for s in trained.manifest.secrets}
    assert len(rows) == len({(r["record_id"], r["attack"]) for r in rows})


@pytest.mark.slow
@GROUP
@pytest.mark.usefixtures("with_shadows")
def test_another_version_trains_no_shadow_model(shadowed, trained):
    other = shadowed.root / "data" / "models" / "v2"
    shutil.copytree(trained.folder, other)
    config = other / "generation_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"max_length": 64}))
    again = shadowed.audit()
    assert (again.blocks_trained, again.blocks_reused) == (0, 1)
    assert [(a.version, a.reused) for a in again.audits] == [("v1", True), ("v2", False)]


@pytest.mark.slow
@GROUP
@pytest.mark.usefixtures("with_shadows")
@pytest.mark.parametrize(
    ("lang", "once", "remembered"),
    [
        ("en", "What this says of an ordinary text", "A text is memorized when models"),
        ("ja", "学習データに一度だけ現れる、ふつうの文章", "ある文章で学習したモデル"),
    ],
)
def test_the_report_says_what_a_rate_means_for_texts_seen_once(shadowed, lang, once, remembered):
    page = shadowed.page(lang).read_text(encoding="utf-8")
    assert once in page
    assert remembered in page
    assert "counterfactual" not in page  # a name of the registry, not of the catalogue


def no_tokenizer(notes: Notes) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (notes.root / "data" / "models" / "v1" / name).unlink()


def pickle_only(notes: Notes) -> None:
    model = notes.root / "data" / "models" / "v1" / "model.safetensors"
    model.rename(model.with_name("pytorch_model.bin"))


def no_text(notes: Notes) -> None:
    (notes.root / "data" / "members.jsonl").write_text("")


def no_file(notes: Notes) -> None:
    (notes.root / "data" / "held_out.jsonl").unlink()


@pytest.mark.slow
@GROUP
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_tokenizer, "no tokenizer"),
        (pickle_only, "only pickled weights"),
        (no_text, "at least one text"),
        (no_file, "held_out.path: no file"),
    ],
)
def test_bad_input_is_one_line(tmp_path, trained, spoil, said):
    notes = make(tmp_path, trained)
    spoil(notes)
    with pytest.raises(InputError, match=said) as caught:
        notes.audit()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"probes": {"prefx": 8}}, "unknown key; did you mean 'prefix'"),
        ({"probes": {"attacks": ["mink"]}}, "attacks: unknown 'mink'"),
        ({"secrets": "secrets.csv"}, "manifest and secrets both list secrets"),
    ],
)
def test_a_bad_subject_is_one_line(tmp_path, trained, changes, said):
    notes = make(tmp_path, trained, **changes)
    with pytest.raises(InputError, match=said):
        read_subjects(notes.root)


def test_a_version_is_all_files_of_its_folder(notes):
    subject = read_subjects(notes.root)["tiny"]
    version = notes.root / "data" / "models" / "v1"
    before = subject.fingerprint(version)
    (version / "README.md").write_text("words")
    assert subject.fingerprint(version) == before
    (version / "README.md").unlink()
    config = version / "tokenizer_config.json"
    text = config.read_text()
    config.write_text(json.dumps(json.loads(text) | {"x": 1}))
    assert subject.fingerprint(version) != before
    config.write_text(text)


def test_canaries_are_planted_into_a_copy(tmp_path, trained):
    corpus, out = tmp_path / "corpus.jsonl", tmp_path / "planted"
    trained.held_out.write(corpus)
    arguments = ["canaries", str(corpus), str(out), "--id", "id", "--repetitions", "0,2"]
    done = CliRunner().invoke(app, [*arguments, "--per-tier", "3", "--controls", "5"])
    assert done.exit_code == 0, done.output
    planted = load_texts(out / "members.jsonl", "text", "id")
    manifest = Manifest.read(out / "canaries.json")
    assert len(planted) == len(trained.held_out) + 6
    assert manifest.corpus == planted.digest
    assert [s.repetitions for s in manifest.secrets].count(0) == 5
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 2
