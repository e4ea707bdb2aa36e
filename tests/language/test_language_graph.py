"""A language model through the real graph, in this process."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import dagster as dg
import pytest
import yaml
from click.testing import Result
from tiny_language import TINY
from typer.testing import CliRunner

from memory_assets.cli import main as cli
from memory_assets.cli.main import app
from memory_assets.config.classifier import AuditedSubject
from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.dagster import auditing
from memory_assets.dagster.components.language_assets import language_assets
from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.dagster.definitions import with_portfolio
from memory_assets.dagster.subjects import read_subjects
from memory_assets.errors import InputError
from memory_assets.history.bundle import AuditBundle
from memory_assets.records.canaries import TEMPLATES, make_secrets
from memory_assets.records.secrets import Manifest
from memory_assets.records.texts import load_texts
from memory_assets.reports.page import verify
from memory_assets.workflows.home import find_home

# They share one audit, so they belong on one worker.
GROUP = pytest.mark.xdist_group("language graph")
PROBES = {"prefix": 8, "suffix": 8, "references": 200, "generated": 5, "control_texts": 50}


@dataclass(frozen=True)
class Notes:
    """A project with one language model, and its own home."""

    root: Path
    home: Path

    @contextmanager
    def inside(self) -> Iterator[dict[str, AuditedSubject]]:
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
            patch.chdir(self.root)
            yield subjects

    def audit(self, progress: auditing.Progress = lambda _: None) -> auditing.AuditRun:
        with self.inside() as subjects:
            return auditing.run_audits(
                list(subjects.values()), self.root, find_home(), None, progress
            )

    def command(self) -> Result:
        """`memory-assets audit`, with a line of progress whenever there is any."""
        with self.inside(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(cli, "_LOG_SECONDS", 0)
            return CliRunner().invoke(cli.app, ["audit"])

    def log(self) -> list[str]:
        """What the runs said of themselves in Dagster's log."""
        with self.inside(), dg.DagsterInstance.get() as instance:
            runs = instance.get_runs()
            events = [event for run in runs for event in instance.all_logs(run.run_id)]
            return [event.user_message for event in events if event.dagster_event is None]

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
    component = {"type": "memory_assets.LanguageModelAudit", "attributes": attributes}
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
        "beats_chance",
        "untrained_model",
        "blind_baseline",
        "unplanted_canaries",
        "instrument",
        "member_list",
        "provenance",
    }
    assert {"membership", "extraction", "exposure", "memorization"} <= {
        m.family for m in bundle.measurements
    }
    ids = set(bundle.record_scores["audit_id"].to_pylist())
    assert ids == {bundle.audit.audit_id}
    assert first.audits_added == 1


@pytest.mark.slow
@GROUP
def test_a_limit_is_held_against_texts_and_planted_secrets_only(first):
    limits = {r.metric: r.row for r in first.audits[0].bundle.gate_results}
    assert limits["extraction_rate"].stratum == "all"
    assert limits["secret_extraction_rate"].stratum == "repetitions=8"


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
    file.write_text(text.replace("extraction_rate: 0.05", "extraction_rate: 0.99", 1))
    try:
        again = notes.audit()
    finally:
        file.write_text(text)
    assert [a.reused for a in again.audits] == [False]
    assert {path.name: path.stat().st_mtime_ns for path in found.iterdir()} == before


SHADOW_CONTROLS = {"negative", "positive", "recipe_match", "instrument"}


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
    measured = [m for m in bundle.measurements if m.family != "gate"]
    found = {(m.name, m.metric, m.stratum): m.estimate for m in measured}
    for attack in ("calibrated_loss", "lira_online_fixed", "lira_offline_fixed", "rmia_offline"):
        auc = found[attack, "auc", "all"]
        assert auc.value is not None
        assert auc.value > 0.9
    gain = found["counterfactual", "mean_loss_gain", "all"]
    assert gain.ci_low is not None
    assert gain.ci_low > 0
    # Two rows of one name would be two formulas under one name.
    assert len(found) == len(measured)
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
        ("ja", "学習データに一度だけ現れるふつうの文章", "ある文章で学習したモデル"),
    ],
)
def test_the_report_says_what_a_rate_means_for_texts_seen_once(shadowed, lang, once, remembered):
    page = shadowed.page(lang).read_text(encoding="utf-8")
    assert once in page
    assert remembered in page
    # A name of the registry stands where formulas are listed, and nowhere else.
    assert "counterfactual" not in page.replace("counterfactual 2", "")


def no_tokenizer(notes: Notes) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (notes.root / "data" / "models" / "v1" / name).unlink()


def pickle_only(notes: Notes) -> None:
    model = notes.root / "data" / "models" / "v1" / "model.safetensors"
    model.rename(model.with_name("pytorch_model.bin"))


def no_text(notes: Notes) -> None:
    (notes.root / "data" / "members.jsonl").write_text("")


def latin_1(notes: Notes) -> None:
    (notes.root / "data" / "members.jsonl").write_bytes(
        '{"id": "a", "text": "caf\xe9"}'.encode("latin-1")
    )


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
        (latin_1, r"members\.jsonl: not UTF-8"),
        (no_file, "held_out.path: no file"),
    ],
)
def test_bad_input_is_one_line(tmp_path, trained, spoil, said):
    notes = make(tmp_path, trained)
    spoil(notes)
    done = notes.audit()
    assert done.audits == ()
    (refused,) = done.not_done
    assert re.search(said, refused.line)
    assert refused.line.isprintable()
    assert refused.code == 2


@pytest.mark.slow
@GROUP
def test_without_held_out_texts_and_with_another_corpus_manifest_the_rest_is_measured(
    tmp_path, trained
):
    gate = {"extraction_rate": 0.05, "secret_extraction_rate": 0.5}
    notes = make(tmp_path, trained, held_out=None, gate=gate)
    data = notes.root / "data"
    others = make_secrets([TEMPLATES["phone-ja"]], (0, 2), 2, seed=5)
    Manifest(others).write(data / "canaries.json")
    with (data / "members.jsonl").open("a") as file:
        file.write('{"id": "void", "text": " "}\n{"id": "brief", "text": "Ok then."}\n')
    done = notes.command()
    assert done.exit_code == 0, done.output
    lines = [line.strip() for line in done.output.splitlines()]
    said = [line for line in lines if line.startswith("note: ")]
    for expected in (
        r"members\.jsonl: text 'void' is empty and was left out",
        r"no held-out texts: membership and the controls",
        r"none of its 2 planted secrets stands in \S*data/members\.jsonl.*; no secret was tried",
        r"shorter than prefix plus suffix \(16 tokens\), not probed for extraction: 'brief'",
    ):
        assert [line for line in said if re.search(expected, line)], expected
    assert not [s.id for s in others if s.value in done.output]
    # How long, and how far: on the terminal as in Dagster's log.
    spoken = [line for line in lines if line.startswith("... tiny v1: ")]
    for expected in ("the audit will take about ", "reading texts: 0%, about ", "generating: "):
        assert [line for line in spoken if expected in line], expected
        assert [line for line in notes.log() if line.startswith(expected)], expected
    bundle = AuditBundle.read(next((notes.home / "artifacts" / "audit").iterdir()))
    measured = {(m.name, m.metric): m.estimate for m in bundle.measurements if m.stratum == "all"}
    assert measured["discoverable", "extraction_rate"].k
    assert measured["secret", "secret_extraction_rate"].status == "not_run"
    assert measured["loss", "auc"].status == "not_run"
    assert bundle.audit.verdict == "insufficient evidence"


@pytest.mark.slow
@GROUP
def test_a_folder_of_texts_and_a_tokenizer_that_levels_case(tmp_path, trained):
    notes = make(tmp_path, trained, members={"path": "data/members"})
    data = notes.root / "data"
    (data / "members").mkdir()
    for name, text in zip(trained.members.ids, trained.members.texts, strict=True):
        (data / "members" / f"{name.replace(':', '-')}.txt").write_text(text)
    (data / "members" / "bad.txt").write_bytes(b"caf\xe9")
    tokenizer = data / "models" / "v1" / "tokenizer.json"
    settings = json.loads(tokenizer.read_text()) | {"normalizer": {"type": "Lowercase"}}
    tokenizer.write_text(json.dumps(settings))
    [audited] = notes.audit().audits
    said = "\n".join(audited.notices)
    assert "bad.txt: not UTF-8 (byte 3); save the file as UTF-8; left out" in said
    planted = [s.id for s in trained.manifest.secrets]
    assert all(
        f"secret {name!r}: the tokenizer cannot write it; left out" in said for name in planted
    )
    measured = {(m.name, m.metric): m.estimate for m in audited.bundle.measurements}
    assert measured["secret", "secret_extraction_rate"].status == "not_run"
    assert measured["loss", "auc"].value is not None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"probes": {"prefx": 8}}, "unknown key; did you mean 'prefix'"),
        ({"probes": {"attacks": ["mink"]}}, "attacks: unknown 'mink'"),
        ({"secrets": "secrets.csv"}, "manifest and secrets both list secrets"),
        ({"checkpoints": {"hub": {"model": "a b", "versions": {"v": "c"}}}}, "expected owner/name"),
        ({"checkpoints": {"hub": {"model": "a/b"}}}, r"checkpoints\.hub\.versions: missing"),
        ({"checkpoints": {}}, "expected a folder, or one of mlflow and hub"),
        ({"base": {"hub": "a/b"}}, r"attributes\.base\.revision: missing"),
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


def test_canaries_follow_templates_of_ones_own(tmp_path, trained):
    corpus, own, out = tmp_path / "corpus.jsonl", tmp_path / "own.toml", tmp_path / "planted"
    trained.held_out.write(corpus)
    own.write_text('[badge]\ntext = "{name} wears {value}"\npattern = "^^##"\n')
    arguments = ["canaries", str(corpus), str(out), "--id", "id", "--templates", str(own)]
    arguments += ["--per-tier", "1", "--controls", "1"]
    unknown = CliRunner().invoke(app, [*arguments, "--template", "badges"])
    assert unknown.exit_code == 2
    assert "phone-ja" in unknown.output
    assert "badge" in unknown.output
    both = [*arguments, "--template", "badge", "--template", "phone-ja"]
    assert CliRunner().invoke(app, both).exit_code == 0
    secrets = Manifest.read(out / "canaries.json").secrets
    assert {s.kind for s in secrets} == {"badge", "phone-ja"}
    assert all(" wears " in s.prefix for s in secrets if s.kind == "badge")
