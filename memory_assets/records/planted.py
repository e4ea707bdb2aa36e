"""Whether the secrets of a list or manifest stand in the texts as they should."""

from __future__ import annotations

from memory_assets.errors import InputError
from memory_assets.records.occurrences import Corpus
from memory_assets.records.secrets import LISTED, PLANTED, Manifest
from memory_assets.records.texts import Texts


def check_manifest(manifest: Manifest, members: Texts, corpus: Corpus | None = None) -> list[str]:
    """Where manifest and corpus disagree, one line each; empty where they fit.

    Where every secret stands as often as it should, that is whether the other texts changed.
    `corpus` are the members where they have been made ready for looking secrets up.
    Of listed secrets nobody need know how often they stand in the corpus: the audit counts.

    Raises:
        InputError: not one planted secret stands in the corpus: this is another corpus.
    """
    planted = [s for s in manifest.secrets if s.repetitions]
    corpus = corpus or Corpus(members)
    problems = []
    missing = 0
    for secret in manifest.secrets:
        found = len(corpus.copies(secret))
        missing += bool(secret.repetitions) and not found
        counted = secret.kind == LISTED and secret.repetitions
        if found != secret.repetitions and not (counted and found):
            problems.append(
                f"secret {secret.id!r}: stands {found} times in the members, the manifest says "
                f"{secret.repetitions}"
            )
    if planted and missing == len(planted):
        if all(s.kind == LISTED for s in planted):
            raise InputError(
                f"secrets: none of the {len(planted)} listed stands in {members.source}, prefix "
                "and value together as in the list; give the texts that they stand in"
            )
        raise InputError(
            f"canary manifest: none of its {len(planted)} planted secrets stands in "
            f"{members.source}; give the corpus that `memory-assets canaries` wrote"
        )
    if not problems and _other_corpus(manifest, members):
        problems.append(
            f"canary manifest: its secrets stand in {members.source}, the rest of which is not as "
            "when they were planted; see that these are the texts that the model was trained on"
        )
    return problems


def _other_corpus(manifest: Manifest, members: Texts) -> bool:
    """Whether the members have the ids of a planted corpus, and are not the manifest's.

    Under other ids, read by number or renamed, the same texts have another digest.
    """
    named = any(name.startswith(PLANTED) for name in members.ids)
    return named and manifest.corpus not in ("", members.digest)
