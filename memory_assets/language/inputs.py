"""What the audit of a language model reads: models opened, texts and secrets as they are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from memory_assets.errors import InputError
from memory_assets.language.chat import through_template
from memory_assets.language.model import LanguageModel, load_language_model
from memory_assets.records.occurrences import Corpus, respelled
from memory_assets.records.planted import check_manifest
from memory_assets.records.secrets import Manifest, Secret
from memory_assets.records.texts import Texts
from memory_assets.store.digest import digest


@dataclass(frozen=True)
class Inputs:
    """The models, and the texts as the audited one reads them.

    `manifest` names the secrets, None where it is that of other texts; `tried` holds them as the
    texts spell them. `corpus` is searched for them.
    """

    model: LanguageModel
    other: LanguageModel | None
    members: Texts
    held_out: Texts | None
    manifest: Manifest | None
    tried: Manifest | None
    corpus: Corpus | None

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return self.manifest.secrets if self.manifest is not None else ()

    @property
    def data_digest(self) -> str:
        """Digest of the texts and the secrets, in order."""
        return digest(
            self.members.digest,
            self.held_out.digest if self.held_out is not None else None,
            [digest(s) for s in self.secrets],
        )


def _tried(
    manifest: Manifest, members: Texts, corpus: Corpus, notices: list[str]
) -> Manifest | None:
    """The secrets as the texts spell them; None where the manifest is that of other texts."""
    try:
        notices += check_manifest(manifest, members, corpus)
        spelled, said = respelled(manifest.secrets, corpus)
    except InputError as error:
        # Texts are measured all the same; of the secrets of another corpus nothing is.
        notices.append(f"{error}; no secret was tried")
        return None
    notices += said
    return replace(manifest, secrets=spelled)


def open_inputs(
    folder: str | Path,
    members: Texts,
    held_out: Texts | None,
    manifest: Manifest | None,
    notices: list[str],
    *,
    reference: str | Path | None,
    revision: str | None,
    base: str | Path | None,
    device: str | None,
) -> Inputs:
    """Check the secrets, which costs little, then open the models; what is said goes to `notices`.

    Raises:
        InputError: a model that cannot be opened safely.
    """
    corpus = tried = None
    if manifest is not None:
        corpus = Corpus(members)
        tried = _tried(manifest, members, corpus, notices)
        manifest = manifest if tried is not None else None
    model = load_language_model(folder, revision, base=base, device=device)
    other = load_language_model(reference, device=device) if reference is not None else None
    notices += [line for each in (model, other) if each is not None for line in each.notices]
    members = through_template(model, members, folder)
    held_out = None if held_out is None else through_template(model, held_out, folder)
    if corpus is not None and members.rendered:
        corpus = Corpus(members)  # of what the model reads
    return Inputs(model, other, members, held_out, manifest, tried, corpus)
