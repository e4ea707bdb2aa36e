"""A figure stands under the versions that computed it: every version is in the keys it decides."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from formula_keys import Asked, Made, known_formulas, wrong
from ways_world import RECIPE, World, make_world

import memory_assets
from memory_assets.config.classifier import ClassifierSubject
from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.errors import InputError
from memory_assets.history.bundle import AuditBundle
from memory_assets.models.checkpoints import Manifest, save_checkpoint
from memory_assets.pool.trainer import train_target
from memory_assets.reports.inputs import TREND
from memory_assets.results.formulas import (
    EPSILON,
    RATES,
    Formula,
    Step,
    UndeclaredFormulaError,
    together,
)
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.workflows import (
    classifier,
    language,
    mitigations,
    pool_findings,
    reporting,
    shadows,
)
from memory_assets.workflows.conclusion import Evidence, conclude, conclusion_formulas
from memory_assets.workflows.pricing import Audited, Neighbours, price_audit
from memory_assets.workflows.released import Released

SOURCES = Path(memory_assets.__file__).parents[1]
TEXTS = {
    "subject": "texts",
    "members": {"path": "members.jsonl"},
    "held_out": {"path": "held_out.jsonl"},
    "secrets": "secrets.csv",
    "checkpoints": "models",
}
READS = {
    "records": (),
    "pool": ("records",),
    "signals": ("pool", "records"),
    "answers": ("records",),
    "attacks": ("signals", "answers"),
    "memorization": ("signals",),
    "information": ("signals",),
    "audit": ("attacks", "memorization", "information"),
    "price": ("audit",),
    "page": ("audit", "price"),
}
OPTION_READS = {
    "records": (),
    "pool": ("records",),
    "signals": ("pool", "records"),
    "target": ("records",),
    "answers": ("records",),  # its weights are read from their file, by their bytes
    "attacks": ("signals", "answers"),
    "memorization": ("signals",),
    "information": ("signals",),
    "audit": ("attacks", "memorization", "information"),
}


@dataclass(frozen=True)
class Audits:
    """A subject with a recipe, an option that is trained with noise, and a price."""

    world: World

    @cached_property
    def subject(self) -> ClassifierSubject:
        return self.world.subject(
            records={"path": "records.npz", "members": "members.csv"},
            recipe=RECIPE | {"epochs": 2},
            depth=None,
            pool={"models": 8, "option_models": 8},
            attacks="thorough",
            options={"dp": {"noise_multiplier": 2.0, "max_grad_norm": 1.0}},
            profile="healthcare-us",
            gate={"tpr_at_fpr_0.1": 0.5},
        )

    @property
    def versions(self) -> dict[str, Path]:
        return dict(Released(self.world.store.root).of(self.subject, self.world.root))

    def version(self, store: ArtifactStore) -> Made:
        """Version v1 from its records to its page."""
        made, root = Made(), self.world.root
        target = shadows.target_signals
        audit = self._audit(
            made,
            self.subject,
            store,
            lambda p: target(self.subject, root, p, self.versions, "v1", store),
        )
        row = replace(self.bundle.audit, audit_id=audit.key)
        found = Audited(row, self.bundle.measurements)
        priced = made.stage(
            "price", price_audit, found, self.subject, root, Neighbours({}), None, store
        )
        shown = self.subject, audit.key, priced.path, TREND.empty_table(), (), ()
        made.keys["page"] = reporting.page_key(*shown)
        return made

    def option(self, store: ArtifactStore) -> Made:
        """The option that is trained with noise."""
        made, root = Made(), self.world.root
        option = mitigations.option_subject(self.subject, "dp")

        def answers(prepared):
            trained = made.stage("target", mitigations.option_target, option, root, prepared, store)
            file = trained.path if trained.path.exists() else self.weights
            return mitigations.option_signals(option, root, prepared, file, store)

        self._audit(made, option, store, answers, trained_here=True)
        return made

    def _audit(self, made: Made, subject, store, answers, trained_here=False):
        root, prepared = self.world.root, self.world.prepared(subject)
        made.stage("records", classifier.prepare_records, subject, root, store)
        plan = shadows.plan_pool(subject, root, prepared)
        made.keys["pool"] = plan.key
        for number in range(len(plan.blocks)):
            made.stage("block", shadows.train_block, subject, root, prepared, number, store)
        if "block" in made.used:
            made.used["pool"] = made.used.pop("block")
            made.allowed["pool"] = made.allowed.pop("block")
            del made.keys["block"]
        pool = made.stage("signals", shadows.shadow_signals, subject, root, prepared, store)
        target, weights = made.stage("answers", answers, prepared)
        found = {
            "attacks": made.stage(
                "attacks",
                shadows.attack_scores,
                subject,
                prepared,
                pool.path,
                target.path,
                store,
            ),
            "memorization": made.stage(
                "memorization", pool_findings.memorization, prepared, pool.path, store
            ),
            "information": made.stage(
                "information", pool_findings.informativeness, prepared, pool.path, store
            ),
        }
        evidence = Evidence(
            version="dp" if trained_here else "v1",
            weights=weights,
            pool_digest=plan.key,
            prepared=prepared,
            pool=pool.path,
            target=target.path,
            started_at=datetime(2026, 1, 1, tzinfo=UTC),
            path=None if trained_here else self.versions["v1"],
            trained_here=trained_here,
            **{name: artifact.path for name, artifact in found.items()},
        )
        return made.stage("audit", conclude, subject, evidence, store)

    @property
    def weights(self) -> Path:
        (file,) = self.world.store.path("option-targets", "").glob("*.safetensors")
        return file

    @property
    def bundle(self) -> AuditBundle:
        bundles = map(AuditBundle.read, self.world.store.path("audit", "").glob("*"))
        return next(b for b in bundles if b.audit.model_version == "v1")


@pytest.fixture(scope="module")
def audits(tmp_path_factory) -> Audits:
    root = tmp_path_factory.mktemp("formulas")
    made = Audits(make_world(root))
    # So many that a threshold at 1% false positives shows, by which attacks are compared.
    rng, n = np.random.default_rng(0), 280
    x, y = rng.normal(size=(n, 4)).astype(np.float32), rng.integers(0, 2, n)
    np.savez(root / "records.npz", x=x, label=y, id=np.array([f"r{i}" for i in range(n)]))
    (root / "members.csv").write_text("\n".join(["id", *(f"r{i}" for i in range(n // 2))]))
    assert made.subject.recipe is not None
    state = train_target(made.subject.recipe, x, y, np.arange(n // 2))
    file = root / "versions" / "v1.safetensors"
    save_checkpoint(file, state, Manifest({}, "", ""))
    return made


@pytest.fixture(scope="module")
def version(audits: Audits) -> Made:
    """The steps of a version as they really ran."""
    return audits.version(audits.world.store)


@pytest.fixture(scope="module")
def option(audits: Audits, version: Made) -> Made:  # noqa: ARG001
    pytest.importorskip("opacus")
    return audits.option(audits.world.store)


def _number(node: ast.expr) -> bool:
    """Whether a version is written out: 3, "3", "1.2", or a dictionary of these."""
    if isinstance(node, ast.Dict):
        return any(map(_number, node.values))
    if isinstance(node, ast.Constant):
        return bool(re.fullmatch(r"\d+(\.\d+)*", str(node.value)))
    return False


def _written_out(tree: ast.AST) -> Iterator[str]:
    """Versions that a file keeps for itself, where no step can find them."""
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else ()
        names = [t.id for t in targets if isinstance(t, ast.Name)]
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value and _number(node.value):
            ends = "VERSIONS" if isinstance(node.value, ast.Dict) else "VERSION"
            yield from (n for n in names if n.upper().endswith((ends, "VERSION")))
        if isinstance(node, ast.Call):
            passed: dict[str | None, ast.expr | None] = {k.arg: k.value for k in node.keywords}
            if isinstance(node.func, ast.Name) and node.func.id == "Measurement":
                fields = dict(zip(range(len(node.args)), node.args, strict=True))
                passed["formula_version"] = passed.get("formula_version", fields.get(5))
            yield from (
                f"{name}=..."
                for name in ("formula_version", "code_version")
                if (value := passed.get(name)) is not None and _number(value)
            )


def test_no_version_is_kept_where_no_step_finds_it():
    files = [
        f for room in ("memory_assets", "dagster_project") for f in (SOURCES / room).rglob("*.py")
    ]
    assert len(files) > 200
    found = {
        str(file.relative_to(SOURCES)): names
        for file in files
        if (names := list(_written_out(ast.parse(file.read_text(encoding="utf-8")))))
    }
    assert found == {}


@pytest.mark.parametrize(
    "line",
    [
        "FORMULA_VERSION = 1",
        '_TRAINER_VERSION: str = "2"',
        'VERSIONS = {"epsilon": 1}',
        'Measurement("utility", "target", "accuracy", "probability", estimate, 1)',
        'asset(code_version="1")',
    ],
)
def test_a_version_written_out_is_found(line: str):
    assert list(_written_out(ast.parse(line)))


def test_steps_name_the_formulas_that_they_call_and_no_others(version: Made, option: Made):
    assert version.used == version.allowed
    assert option.used == option.allowed


def test_a_version_of_a_formula_changes_what_it_computes_and_what_reads_that(
    audits: Audits, version: Made
):
    asked = Asked(audits.world.store.root)
    assert wrong(version, READS, lambda: audits.version(asked)) == {}


def test_a_version_of_a_formula_changes_an_option_in_the_same_way(audits: Audits, option: Made):
    asked = Asked(audits.world.store.root)
    assert wrong(option, OPTION_READS, lambda: audits.option(asked)) == {}


def test_a_new_release_computes_nothing_anew(audits: Audits, version: Made, monkeypatch):
    monkeypatch.setattr(memory_assets, "__version__", "99.0.0")
    assert audits.version(Asked(audits.world.store.root)).keys == version.keys


def test_an_audit_says_by_which_formulas_its_figures_were_computed(
    audits: Audits, version: Made, monkeypatch
):
    said = audits.bundle.audit.code_version
    called = {f for stage in version.used for f in version.used[stage]} - version.used["price"]
    assert {f"{f.name} {f.number}" for f in called} == set(re.findall(r"(?<=[:,] )[^,;]+", said))
    monkeypatch.setattr(memory_assets, "__version__", "99.0.0")
    assert "99" not in said


def test_figures_carry_the_versions_of_the_formulas_that_they_rest_on(audits: Audits):
    found = {(m.family, m.name, m.metric): m.formula_version for m in audits.bundle.measurements}
    world, lira = audits.world, "lira_online_fixed"
    subject = world.subject(
        **audits.subject.model_dump(
            include={"records", "recipe", "pool", "attacks", "gate"}, exclude_unset=True
        ),
        depth=None,
    )
    formula = Formula.known[f"attack {lira}"]
    with patch.object(formula, "number", formula.number + 1):
        moved = {
            (m.family, m.name, m.metric): m.formula_version
            for m in world.audit(subject).measurements
        }
    assert found["membership", lira, "tpr_at_fpr_0.1"] == together(formula.number, RATES.number)
    bound = ("epsilon", lira, "clopper_pearson_lower_bound")
    assert found[bound] == together(formula.number, EPSILON.number)
    changed = {row for row in found if moved[row] != found[row]}
    assert changed >= {("membership", lira, "auc"), bound, ("epsilon", "all attacks", "epsilon")}
    others = {name for family, name, _ in changed if family != "gate" and lira not in name}
    assert others == {"all attacks"}


def test_a_step_that_calls_what_its_key_does_not_name_stops():
    step = Step("conclusion", (EPSILON,))
    with step.at_work():
        assert EPSILON.version == EPSILON.number
    rates = step.at_work()(RATES.computes(lambda: None))
    with pytest.raises(UndeclaredFormulaError, match=r"conclusion uses 'rates'.*add it"):
        rates()


@pytest.mark.parametrize("name", ["information", "gain", "rates"])
def test_findings_of_an_older_formula_are_not_concluded_under_the_new_one(
    audits: Audits, version: Made, name: str
):
    """Several versions changed, and the conclusion is asked before all that it reads ran anew."""
    world, prepared = audits.world, audits.world.prepared(audits.subject)

    def file(kind: str, stage: str, suffix: str = "") -> Path:
        return world.store.path(kind, version.keys[stage], suffix)

    evidence = Evidence(
        version="v1",
        weights="",
        pool_digest=version.keys["pool"],
        prepared=prepared,
        pool=file("signals", "signals", ".safetensors"),
        target=file("signals", "answers", ".safetensors"),
        attacks=file("attack-scores", "attacks"),
        memorization=file("memorization", "memorization"),
        information=file("information", "information"),
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        path=None,
    )
    formula = Formula.known[name]
    asked = audits.subject, evidence, Asked(world.store.root)
    conclude(*asked)
    with (
        patch.object(formula, "number", formula.number + 1),
        pytest.raises(InputError, match="was made by other formulas"),
    ):
        conclude(*asked)


def test_two_formulas_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two formulas are called 'rates'"):
        Formula("rates", 1)


def test_brought_shadow_models_are_attacked_by_formulas_that_the_key_names(tmp_path):
    """How many there are is not known before they are read: 64 take other attacks than a few."""
    world = make_world(tmp_path)
    world.write_outputs()
    subject = world.subject(predictions={"shadows": "shadows.csv"}, depth=None)
    world.write_shadows(subject, models=64)
    bundle = world.audit(subject)
    assert {"lira_online"} <= {m.name for m in bundle.measurements}


def test_a_reworded_sentence_writes_the_pages_anew(tmp_path, monkeypatch):
    package = tmp_path / "memory_assets"
    for name in ("reports/catalogue/en.toml", "results/sentences/ja.toml", "reports/style.css"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("a")
    (package / "workflows").mkdir()
    for name in ("coverage.py", "portfolio.py", "reporting.py"):
        (package / "workflows" / name).write_text("a")
    monkeypatch.setattr(reporting, "__file__", str(package / "workflows" / "reporting.py"))
    seen = {reporting.pages_version()}
    for name in ("reports/catalogue/en.toml", "results/sentences/ja.toml", "reports/style.css"):
        (package / name).write_text("b")
        seen.add(reporting.pages_version())
    assert len(seen) == 4
    empty = TREND.empty_table()
    subject = make_subject()
    keys = set()
    for version in seen:
        monkeypatch.setattr(reporting, "pages_version", lambda version=version: version)
        keys.add(reporting.page_key(subject, "audit", None, empty, (), ()))
    assert len(keys) == 4


def make_subject() -> ClassifierSubject:
    return World(Path()).subject(fit="ways_world:fit")


def test_every_formula_belongs_to_a_step(audits: Audits):
    known = known_formulas()
    chosen = {f for step in Step.known for f in step.uses}
    chosen |= set(conclusion_formulas(mitigations.option_subject(audits.subject, "dp")))
    chosen |= set(language.sought(LanguageModelSubject.model_validate(TEXTS)))
    assert {name for name, formula in known.items() if formula not in chosen} == set()
