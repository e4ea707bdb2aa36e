"""The steps of an audit by shadow models: each finds its artifact by digest, or makes it.

They are the same for classifiers and for language models; what differs is the way by which models
are trained and asked (`ways`). A step's key is a digest of all that it reads, so a changed record,
recipe, weight or formula gives another key, and what did not change is found again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from memory_assets.attacks.evaluate import evaluate
from memory_assets.attacks.registry import ATTACKS, PER_RECORD_VARIANCE, Attack
from memory_assets.config.classifier import WAYS, ClassifierSubject, PooledSubject
from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.errors import InputError
from memory_assets.models.checkpoints import still_there
from memory_assets.pool.blocks import Block, cut_blocks, kin, load_block, save_block
from memory_assets.pool.masks import draw_masks
from memory_assets.pool.precision import aligned
from memory_assets.pool.signal_files import load_signals, save_signals
from memory_assets.pool.signals import Signals
from memory_assets.records.formats import SAFETENSORS
from memory_assets.records.prepared import AuditSet, Prepared, PreparedTexts
from memory_assets.reports.inputs import RocCurve
from memory_assets.results.formulas import (
    AGREEMENT,
    BEST_EPSILON,
    EPSILON,
    EPSILON_CEILING,
    LANGUAGE_TRAINER,
    MASKS,
    PAIRING,
    RATES,
    SIGNALS,
    SPLIT_EPSILON,
    SUMMARY,
    TEXT_PAIRS,
    THRESHOLD_RATES,
    TRAINER,
    Formula,
    Step,
)
from memory_assets.store.artifacts import Artifact, ArtifactStore
from memory_assets.store.digest import digest
from memory_assets.workflows.model_sources.choice import way_of
from memory_assets.workflows.model_sources.protocol import TrainingWay, Way
from memory_assets.workflows.privacy_loss import measure_epsilon
from memory_assets.workflows.results import AttackResults
from memory_assets.workflows.training_context import Means

BLOCK_KIND, TENSORS = "shadow-models", SAFETENSORS.suffix
SIGNALS_KIND = "signals"
POOL_STEP = Step(BLOCK_KIND, (MASKS, TRAINER))
LANGUAGE_POOL_STEP = Step(BLOCK_KIND, (MASKS, LANGUAGE_TRAINER))
SIGNALS_STEP = Step(SIGNALS_KIND, (SIGNALS,))
ATTACKS_STEP = Step(
    "attack-scores",
    (
        RATES,
        SUMMARY,
        THRESHOLD_RATES,
        AGREEMENT,
        EPSILON,
        SPLIT_EPSILON,
        BEST_EPSILON,
        EPSILON_CEILING,
    ),
)
_DRIVER = Path("/proc/driver/nvidia")


_AS_ON: ContextVar[str] = ContextVar("_AS_ON", default="")


@contextmanager
def as_on(device: str) -> Iterator[None]:
    """Name artifacts as on another device: what was computed there is asked about here."""
    token = _AS_ON.set(device)
    try:
        yield
    finally:
        _AS_ON.reset(token)


def device_name() -> str:
    """Where models train and answer: the GPU where there is one."""
    if named := _AS_ON.get():
        return named
    if not _DRIVER.exists():  # spares the import of torch where it could see no device anyway
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def computed_on(subject: PooledSubject) -> str:
    """For the record: the device, and the precision of the shadow models where it is not float32.

    "cpu", "cuda (NVIDIA H100 PCIe)" or "cpu, shadow models in bfloat16".
    """
    device = device_name()
    if device == "cuda":
        import torch

        device = f"cuda ({torch.cuda.get_device_name()})"
    if subject.precision == "float32":
        return device
    return f"{device}, shadow models in {subject.precision}"


@dataclass(frozen=True)
class PoolPlan:
    """The blocks of a pool and their keys, known before anything is trained.

    `drawn` digests the audit set and the version of the draw of its sides. `silent` are the models
    that did not answer when they were trained (see `as_trained`): a pool without them is another
    pool.
    """

    way: Way
    masks: NDArray[np.uint8]
    blocks: tuple[Block, ...]
    keys: tuple[str, ...]
    outside: str = ""
    drawn: str = ""
    silent: tuple[int, ...] = ()

    @property
    def key(self) -> str:
        silent = [list(self.silent)] if self.silent else []
        return digest(list(self.keys), self.outside, self.drawn, *silent)


def pool_step(subject: PooledSubject) -> Step:
    """The step that trains the shadow models of a subject of this kind."""
    return LANGUAGE_POOL_STEP if isinstance(subject, LanguageModelSubject) else POOL_STEP


def read_audit_set(subject: PooledSubject, folder: Path) -> AuditSet:
    """The records or texts of a subject with the audit set drawn from them, as they were saved."""
    return (Prepared if isinstance(subject, ClassifierSubject) else PreparedTexts).load(folder)


def plan_pool(subject: PooledSubject, root: Path, prepared: AuditSet) -> PoolPlan:
    """Which models make the pool, in which blocks; none where the owner brings predictions."""
    way = way_of(subject, root, device_name())
    pairs = len(prepared.pairing.pairs)
    if not subject.models:
        return PoolPlan(way, np.zeros((0, pairs), np.uint8), (), (), way.outside)
    masks = draw_masks(subject.models, pairs, subject.pool.seed)
    blocks, trains = cut_blocks(subject.models), cast(TrainingWay, way)
    keys = [trains.block_key(block, prepared, masks) for block in blocks]
    drawn = digest(prepared.key, MASKS.number)
    return PoolPlan(way, masks, tuple(blocks), tuple(keys), drawn=drawn)


def as_trained(plan: PoolPlan, store: ArtifactStore) -> PoolPlan:
    """The plan of a pool that was trained, less the models that did not answer."""
    if not plan.blocks:
        return plan
    unanswered = cast(TrainingWay, plan.way).unanswered
    rows = {b: unanswered(store.path(BLOCK_KIND, k, TENSORS)) for b, k in _named(plan)}
    silent = (block.start + row for block, found in rows.items() for row in found)
    return replace(plan, silent=tuple(silent))


def is_final(plan: PoolPlan, store: ArtifactStore) -> bool:
    """Whether every block is in the store and every model of it answered."""
    there = all(store.exists(BLOCK_KIND, key, TENSORS) for key in plan.keys)
    return there and not as_trained(plan, store).silent


def _named(plan: PoolPlan) -> list[tuple[Block, str]]:
    return list(zip(plan.blocks, plan.keys, strict=True))


def _known(
    subject: PooledSubject, way: TrainingWay, block: Block, prepared: AuditSet, store: ArtifactStore
) -> dict[int, dict[str, NDArray]]:
    """What the store holds of a block's models: its own as far as it came, then pools' of other
    sizes."""
    found: dict[int, dict[str, NDArray]] = {}
    blocks = kin(block)
    most = max(other.stop for other in blocks)
    masks = draw_masks(most, len(prepared.pairing.pairs), subject.pool.seed)
    for other in blocks:
        key = way.block_key(other, prepared, masks)
        wanted = set(other.indices) & set(block.indices) - set(found)
        if not wanted or not store.is_sound(BLOCK_KIND, key, TENSORS):
            continue
        file = store.path(BLOCK_KIND, key, TENSORS)
        silent, stacked = way.unanswered(file), load_block(file)
        for row, index in enumerate(other.indices):
            if index in wanted and row not in silent:
                found[index] = {name: values[row] for name, values in stacked.items()}
    return found


def train_block(
    subject: PooledSubject,
    root: Path,
    prepared: AuditSet,
    number: int,
    store: ArtifactStore,
    means: Means | None = None,
) -> Artifact:
    """Train block `number` of the pool, unless it stands in the store.

    Models that stand in a block of a pool of another size are taken from there, and so are those
    that answered where others of this block did not. It is reused where nothing was trained.

    Raises:
        InputError: the models cannot be trained as asked.
    """
    plan = plan_pool(subject, root, prepared)
    way = cast(TrainingWay, plan.way)  # another way has no blocks
    block, key = _named(plan)[number]
    scratch = store.root / "commands" / key[:16]
    trained: list[int] = []

    @pool_step(subject).at_work()
    def build(path: Path) -> None:
        known = _known(subject, way, block, prepared, store)
        trained.extend(index for index in block.indices if index not in known)
        made = way.train(block, prepared, plan.masks, known, scratch, means or Means())
        if plan_pool(subject, root, prepared).keys[number] != key:
            raise InputError(
                "pool: the code that makes shadow models changed while they were trained; "
                "run the audit again"
            )
        save_block(made, path)

    made = store.get_or_build(
        BLOCK_KIND, key, build, TENSORS, final=lambda file: not way.unanswered(file)
    )
    return replace(made, reused=not trained)


def shadow_signals(
    subject: PooledSubject, root: Path, prepared: AuditSet, store: ArtifactStore
) -> Artifact:
    """What every shadow model answers about every record of the audit set and held out.

    Raises:
        InputError: a block of the pool is gone from the store or damaged, or a model's training
            diverged.
    """
    plan = as_trained(plan_pool(subject, root, prepared), store)

    @SIGNALS_STEP.at_work()
    def build(path: Path) -> None:
        files = [store.path(BLOCK_KIND, key, TENSORS) for key in plan.keys]
        sound = [store.is_sound(BLOCK_KIND, key, TENSORS) for key in plan.keys]
        if not all(sound):
            file = files[sound.index(False)]
            raise InputError(f"{file}: gone from the store, or damaged; run the audit again")
        blocks = list(zip(plan.blocks, files, strict=True))
        plan.way.ask_pool(blocks, prepared, plan.masks, path)
        if as_trained(plan, store).silent != plan.silent:
            raise InputError("pool: more of its models were trained meanwhile; run the audit again")

    return store.get_or_build(SIGNALS_KIND, signals_key(plan, prepared), build, TENSORS)


def signals_key(plan: PoolPlan, prepared: AuditSet) -> str:
    """The key of a pool's signals, known before anything is trained."""
    return digest(plan.key, plan.way.asked_by(), prepared.key, SIGNALS_STEP.versions())


def target_signals(
    subject: PooledSubject,
    root: Path,
    prepared: AuditSet,
    versions: Mapping[str, Path],
    version: str,
    store: ArtifactStore,
) -> tuple[Artifact, str]:
    """What one version answers, as a row like those of the pool; and the digest of its file.

    `versions` says where each one lies, as a run listed them.

    Raises:
        InputError: no such version, or a file that cannot be read as this subject's model.
    """
    path = still_there(versions, version)
    if path is None:
        raise InputError(f"version {version!r}: gone from {subject.checkpoints}")
    weights = subject.fingerprint(path)
    way = way_of(subject, root, device_name())
    key = digest(weights, way.asked_by(), prepared.key, SIGNALS_STEP.versions())

    @SIGNALS_STEP.at_work()
    def build(target: Path) -> None:
        answers = way.ask_target(path, prepared)
        if subject.fingerprint(path) != weights:
            raise InputError(f"{path}: changed while it was read; run the audit again")
        save_signals(answers, target)

    return store.get_or_build(SIGNALS_KIND, key, build, TENSORS), weights


def pool_version(subject: PooledSubject) -> str:
    """Versions of trainer and masks, and the recipe and pool that the owner asks for."""
    spec = digest(
        subject.model_dump(
            include={*WAYS, "pool", "depth", "options", "queries"}, exclude_defaults=True
        )
    )
    return f"{pool_step(subject).code_version()}.{spec[:8]}"


def target_version(subject: PooledSubject) -> str:
    """The architecture that checkpoints are read as.

    A new version of the signals arrives by way of the pool's, after which a version is asked: alone
    it would set new answers against old ones.
    """
    architecture = {
        "recipe": {"model", "model_args", "tokenizer", "window"},
        "queries": ...,
        "fit": ...,
        "command": ...,
    }
    spec = digest(subject.model_dump(include=architecture))
    return spec[:8]


def answers_version(subject: PooledSubject) -> str:
    """Versions of all formulas up to the answers of a pool: what signals must be made by."""
    trained = [pool_step(subject).versions()] if subject.models else []
    drawn = [f.number for f in (PAIRING, TEXT_PAIRS)]
    return digest(drawn, trained, SIGNALS_STEP.versions())[:12]


def scores_version(subject: PooledSubject) -> str:
    """Formula versions of attacks, rates and epsilon, and the prior that they are told."""
    versions = ATTACKS_STEP.code_version(*attack_formulas(subject))
    return f"{versions}.prior {subject.prior:g}"


def attack_formulas(subject: PooledSubject) -> list[Formula]:
    """The formulas of the attacks that a subject asks for, and of the loss.

    A claim and the list of members are held against the loss whatever was asked for. How many
    shadow models come with predictions is not known before they are read: those of any pool, then.
    """
    pools = (subject.models,) if subject.models else (0, PER_RECORD_VARIANCE)
    asked = [a.revision for models in pools for a in subject.attacks_on(models)]
    return list(dict.fromkeys([*asked, ATTACKS["loss"].revision]))


def runnable(subject: PooledSubject, pool: Signals) -> tuple[Attack, ...]:
    """The attacks that a subject asks for, without those that this pool has too few models for.

    Raises:
        InputError: none is left.
    """
    wanted = subject.attacks_on(subject.models or pool.models)
    found = tuple(attack for attack in wanted if attack.can_score(pool))
    if not found:
        raise InputError(
            f"attacks: none of {', '.join(a.name for a in wanted)} can run on {pool.models} shadow "
            "models; add loss, which needs none"
        )
    return found


def refuse_older(version: str, wanted: Mapping[Path, str]) -> None:
    """Raise InputError where a file is not that of its key: what must be made of the inputs now."""
    for found, key in wanted.items():
        if found.stem != key:
            raise InputError(
                f"{version}: {found} was made by other formulas, or of other inputs, than those of "
                "now; run `memory-assets audit`, which makes it anew first (so does a running "
                "daemon)"
            )


def attacks_key(subject: PooledSubject, prepared: AuditSet, pool: Path, target: Path) -> str:
    """The key of what `attack_scores` finds in these signals."""
    versions = ATTACKS_STEP.versions(*attack_formulas(subject))
    rates = [list(subject.gated_rates)] if subject.gated_rates else []
    return digest(pool.stem, target.stem, prepared.key, versions, subject.prior, *rates)


def attack_scores(
    subject: PooledSubject, prepared: AuditSet, pool: Path, target: Path, store: ArtifactStore
) -> Artifact:
    """Run the attacks on one version: a folder that `AttackResults.load` reads."""
    chosen = attack_formulas(subject)
    key = attacks_key(subject, prepared, pool, target)

    @ATTACKS_STEP.at_work(*chosen)
    def build(folder: Path) -> None:
        shadows, signals = aligned(load_signals(pool), load_signals(target))
        chosen = runnable(subject, shadows)
        try:
            evaluation = evaluate(
                shadows, signals, chosen, prior=subject.prior, more_rates=subject.gated_rates
            )
        except ValueError as error:
            raise InputError(f"attacks: {error}") from error
        ids, members = prepared.pair_ids.ravel(), evaluation.is_in.ravel()
        scores = pa.concat_tables(
            pa.table(
                {
                    "record_id": ids.astype(object),
                    "member": members,
                    "attack": [result.attack.name] * len(ids),
                    "score": result.scores.ravel(),
                }
            )
            for result in evaluation.results
        )
        curves = tuple(
            RocCurve(
                result.attack.name,
                result.curve.fpr,
                result.curve.tpr,
                n_members=result.roc.members.size,
                n_nonmembers=result.roc.non_members.size,
            )
            for result in evaluation.results
        )
        loss = ATTACKS["loss"].score(shadows, signals)[0]
        found = (*evaluation.measurements, *measure_epsilon(evaluation, signals.side[0], loss))
        AttackResults(scores, found, curves).save(folder)

    return store.get_or_build("attack-scores", key, build)
