"""A language model as its owner writes it: which texts, which secrets, how deep, what may pass."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from memory_assets.attacks.registry import Attack
from memory_assets.config.classifier import PooledSubject
from memory_assets.config.training import (
    TokenizedRecipe,
    VersionLanguageRecipe,
    check_settings,
)
from memory_assets.errors import InputError
from memory_assets.language.settings import check_index
from memory_assets.models.hub import snapshot
from memory_assets.models.registry import HubId, Revision
from memory_assets.models.strays import UNFINISHED
from memory_assets.owner.makers import code_files, tokenizer_files
from memory_assets.records.formats import (
    MARKDOWN,
    MODEL_FOLDER_WEIGHTS,
    PLAIN_TEXTS,
    TEXT,
    TEXT_TABLES,
    either_named,
    is_one_of,
)
from memory_assets.records.texts import ANSWER, PROMPT, Texts, check_template, load_texts
from memory_assets.spec import Spec
from memory_assets.store.confined import files_in, hub_blobs, inside
from memory_assets.store.digest import digest
from memory_assets.store.paths import is_file, is_folder

if TYPE_CHECKING:  # brings Faker along, which a project without language models need not wait for
    from memory_assets.language.options import LanguageOptions

LANGUAGE_MODELS = 8
"""Shadow models where the owner does not say how many: each is a whole training run."""

_NO_PART = (*MARKDOWN.suffixes, *UNFINISHED)


class TextsSpec(Spec):
    """Texts in a Parquet, JSON lines or plain file, or in a folder of `.txt` files.

    With `prompt`, `column` holds answers: the model was trained on them behind their prompts, with
    the loss on the answer.
    """

    path: str = Field(
        description=f"{either_named(TEXT_TABLES + PLAIN_TEXTS)} file, or a folder of "
        f"{TEXT.suffix} files"
    )
    column: str = Field(
        default="text", description="column or field that holds the text, or the answer to a prompt"
    )
    id: str | None = Field(default=None, description="column of text ids; numbers without it")
    prompt: str | None = Field(
        default=None, description="column of prompts, where the texts are answers to them"
    )
    separator: str | None = Field(
        default=None, description="what stands between prompt and answer; nothing without it"
    )
    template: str | None = Field(
        default=None,
        description="how prompt and answer are joined, such as '### Q: {prompt} ### A: {answer}'",
    )

    chat: bool | None = Field(
        default=None,
        description="whether the model was trained on prompt and answer through the chat template "
        "of its tokenizer; must be said where it has one",
    )

    @model_validator(mode="after")
    def _joined(self) -> TextsSpec:
        if self.chat and not (self.separator is None and self.template is None):
            raise ValueError(
                "chat: true joins prompt and answer by the tokenizer's chat template; leave "
                "separator and template out"
            )
        if self.chat is not None and self.prompt is None:
            raise ValueError("chat says how an answer is joined to its prompt; add prompt")
        if self.prompt is None and not (self.separator is None and self.template is None):
            raise ValueError("separator and template join an answer to its prompt; add prompt")
        if self.separator is not None and self.template is not None:
            raise ValueError("separator and template both join prompt and answer; leave one out")
        if self.prompt is not None and self.prompt == self.column:
            raise ValueError(
                f"column and prompt are both {self.prompt!r}; column names that of the answers"
            )
        check_template(self.joined)
        return self

    @property
    def joined(self) -> str:
        """How prompt and answer are joined, as a template."""
        return self.template or PROMPT + (self.separator or "") + ANSWER

    def load(self, root: Path) -> Texts:
        """The texts.

        Raises:
            InputError: as `load_texts`.
        """
        return load_texts(
            root / self.path, self.column, self.id, self.prompt, self.joined, self.chat
        )


def _said(chat: bool | None) -> str:
    return "nothing" if chat is None else str(chat).lower()


class HubRevision(Spec):
    """A model on the Hugging Face hub as it was at a revision."""

    hub: HubId = Field(description="owner/name on the Hugging Face hub")
    revision: Revision = Field(description="commit, tag or branch")


class TrainingSpec(Spec):
    """How the training saw its texts: which secrets can have been learned at all."""

    window: int | None = Field(default=None, ge=2, description="tokens a piece")
    cut: Literal["split", "truncate"] = Field(
        default="split", description="what became of the rest of a text longer than a piece"
    )
    trained_after: str | None = Field(
        default=None, description="mark in a text before which the loss was masked"
    )


class ProbesSpec(Spec):
    """How the audit looks; lengths are in tokens."""

    prefix: int = Field(default=50, ge=1, description="tokens that the model is given")
    suffix: int = Field(default=50, ge=1, description="tokens that it must recite")
    stride: int | None = Field(
        default=None,
        ge=1,
        description="tokens from probe to probe where not every place of a text can be tried",
    )
    least_answer: int = Field(
        default=5, ge=1, description="tokens of the shortest answer to a prompt that is probed"
    )
    window: int | None = Field(default=None, ge=2, description="longest piece read at once")
    temperature: float = Field(default=1.0, gt=0, description="of sampling")
    top_k: int = Field(
        default=40, ge=0, description="likeliest tokens that sampling chooses among; 0: all"
    )
    tries: int = Field(default=1000, ge=1, description="samples of an attacker who asks again")
    probability: float = Field(
        default=0.5, gt=0, lt=1, description="least chance that one of the tries gives the text"
    )
    texts: int = Field(default=2000, ge=2, description="texts of each side, drawn at random")
    control_texts: int = Field(
        default=200, ge=2, description="texts that the untrained model is asked about"
    )
    generated: int = Field(default=50, ge=0, description="texts tried by real generation")
    references: int = Field(default=2000, ge=100, description="values a secret is ranked among")
    candidates: int = Field(default=100, ge=2, description="values a secret is chosen among")
    proposals: int = Field(
        default=64,
        ge=1,
        description="values that the model proposes where a secret is to be reconstructed",
    )
    attacks: list[str] | None = Field(default=None, description="scores by name; all without it")
    duplication_shares: dict[int, Annotated[float, Field(ge=0)]] | None = Field(
        default=None, description="share of the real corpus by how often its texts repeat"
    )
    training: TrainingSpec = Field(
        default_factory=TrainingSpec, description="how the training saw its texts"
    )
    seed: int = Field(default=0, ge=0, description="draws texts, samples and reference values")

    @model_validator(mode="after")
    def _valid(self) -> ProbesSpec:
        if self.attacks is not None or self.duplication_shares is not None:
            self.options()
        return self

    def options(self) -> LanguageOptions:
        """The same choices as the instruments take them.

        Raises:
            InputError: an unknown attack, or a repetition count below 1.
        """
        from memory_assets.language.options import LanguageOptions
        from memory_assets.language.preflight import Training
        from memory_assets.language.signals import Sampling

        own: dict[str, Any] = self.model_dump(
            exclude={"temperature", "top_k", "training", "attacks"}
        )
        if self.attacks is not None:
            own["attacks"] = tuple(self.attacks)
        return LanguageOptions(
            **own,
            sampling=Sampling(self.temperature, self.top_k),
            training=Training(**self.training.model_dump()),
        )


class LanguageModelSubject(PooledSubject):
    """Everything an owner says about one audited causal language model.

    With a `recipe` there are shadow models, and what rests on them is measured too: likelihood
    ratio attacks and counterfactual memorization.
    """

    recipe: TokenizedRecipe | None = Field(
        default=None, description="how the model was trained from scratch; gives shadow models"
    )
    recipes: dict[str, VersionLanguageRecipe] = Field(
        default_factory=dict,
        description="by version, the settings of the recipe in which it was trained otherwise; "
        "what its weights say themselves need not be said again",
    )

    members: TextsSpec = Field(description="texts that the model was trained on")
    held_out: TextsSpec | None = Field(
        default=None, description="texts of the same kind that it was not trained on"
    )
    manifest: str | None = Field(
        default=None, description="canaries planted among the members, by memory-assets canaries"
    )
    secrets: str | None = Field(
        default=None, description="CSV of secrets to try, with the columns prefix and value"
    )
    reference: str | HubRevision | None = Field(
        default=None,
        description="folder of a model that did not see the members, or {hub, revision}",
    )
    base: str | HubRevision | None = Field(
        default=None,
        description="folder of the base of LoRA adapters, or {hub, revision}; without it the base "
        "that an adapter names, if it is a folder of the project or in the local cache",
    )
    probes: ProbesSpec = Field(default_factory=ProbesSpec, description="how the audit looks")

    @model_validator(mode="after")
    def _one_list(self) -> LanguageModelSubject:
        if self.manifest is not None and self.secrets is not None:
            raise ValueError("manifest and secrets both list secrets; leave one out")
        return self

    @model_validator(mode="after")
    def _same_kind_of_texts(self) -> LanguageModelSubject:
        mine, theirs = self.members, self.held_out
        if theirs is not None:
            if (mine.prompt is None) != (theirs.prompt is None):
                with_it, without = (
                    ("held_out", "members") if mine.prompt is None else ("members", "held_out")
                )
                raise ValueError(
                    f"{with_it} have a prompt and {without} have none; answers are compared with "
                    "answers only"
                )
            if mine.joined != theirs.joined:
                raise ValueError(
                    f"members join prompt and answer by {mine.joined!r}, held_out by "
                    f"{theirs.joined!r}; expected the same, as the model was trained"
                )
            if mine.chat != theirs.chat:
                raise ValueError(
                    f"members say chat: {_said(mine.chat)} and held_out {_said(theirs.chat)}; "
                    "expected the same, as the model was trained"
                )
        if mine.prompt is not None and self.recipe is not None:
            raise ValueError(
                "a recipe trains shadow models on whole texts, and members have prompts, which "
                "the loss leaves out; leave recipe or prompt out"
            )
        return self

    @model_validator(mode="after")
    def _shadows_need_texts(self) -> LanguageModelSubject:
        check_settings(self.recipes, "its folder" if self.recipe is None else None)
        if self.recipe is None:
            if {"pool", "attacks"} & self.model_fields_set:
                raise ValueError(
                    "pool and attacks speak of shadow models, which need a recipe; add it or leave "
                    "them out"
                )
            return self
        if self.held_out is None:
            raise ValueError(
                "a recipe trains shadow models on held-out texts in place of members; add held_out"
            )
        if self.attacker == "predictions":
            raise ValueError(
                "attacker: predictions has no shadow models, and a recipe trains some; leave one "
                "of the two out"
            )
        if not any(attack.sides for attack in self.attacks_on(self.models)):
            raise ValueError(
                "attacks: loss reads no shadow model and is a score of every text already; name an "
                "attack that reads them, or leave attacks out"
            )
        return self

    @property
    def way(self) -> str:
        return "recipe"

    @property
    def models(self) -> int:
        return 0 if self.recipe is None else self.pool.models or LANGUAGE_MODELS

    def attacks_on(self, models: int) -> tuple[Attack, ...]:
        """Those that read shadow models; the plain loss is a score of every text already."""
        return tuple(attack for attack in super().attacks_on(models) if attack.name != "loss")

    @property
    def brings(self) -> tuple[str, ...]:
        return super().brings if self.recipe is None else (*super().brings, "recipe")

    @property
    def config_digest(self) -> str:
        """What decides the verdict, apart from texts, weights and what was found of them."""
        asked = [] if self.attacker == "shadows" else [self.attacker]
        return digest(self.gate, self.prior, *asked)

    def sources(self, root: Path) -> dict[str, Path]:
        given = {
            "members.path": self.members.path,
            "held_out.path": self.held_out.path if self.held_out else None,
            "manifest": self.manifest,
            "secrets": self.secrets,
            "reference": self.reference,
            "base": self.base,
        }
        found: dict[str, Path] = {}
        for field, name in given.items():
            if not isinstance(name, str):  # a revision on the hub stays what it is
                continue
            path = root / name
            if not (is_file(path) or is_folder(path)):
                raise InputError(f"{field}: no file or folder {path}")
            within = list(files_in(path)) if path.is_dir() else [path]
            if not within or not within[0].is_file():
                raise InputError(f"{field}: {path} holds no file")
            found |= {f"{name}/{p.relative_to(path)}" if path.is_dir() else name: p for p in within}
        return found

    def makers(self, root: Path) -> dict[str, Path]:
        if self.recipe is None:
            return {}
        files = tokenizer_files(root / self.recipe.tokenizer)
        code = code_files(self.recipe.model, "recipe.model")
        return {**code, **{f"tokenizer/{f.name}": f for f in files}}

    def folder_of(self, model: str | HubRevision, root: Path) -> Path:
        """The folder of another model that the owner names.

        Raises:
            InputError: no such folder, or neither the local cache nor the hub gives it.
        """
        if isinstance(model, HubRevision):
            return snapshot(model.hub, model.revision)
        if not is_folder(root / model):
            raise InputError(
                f"{root / model}: no such folder; expected a Hugging Face model folder"
            )
        return root / model

    def weights(self, version: Path) -> list[Path]:
        """The files of a Hugging Face folder; one without weights is still being filled."""
        if version.is_file():
            return [version]
        check_index(version)
        blobs = hub_blobs(version)
        files = sorted(
            p
            for p in version.iterdir()
            if inside(p, version, blobs).is_file()
            and not p.name.startswith(".")
            and p.suffix not in _NO_PART
        )
        if not any(is_one_of(p, MODEL_FOLDER_WEIGHTS) for p in files):
            raise InputError(f"{version}: no weights; expected a Hugging Face model folder")
        return files
