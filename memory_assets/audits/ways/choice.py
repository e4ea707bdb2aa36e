"""Which way a subject's model came, ready to be asked."""

from __future__ import annotations

import sys
from pathlib import Path

from memory_assets.audits.ways.by_language_recipe import ByLanguageRecipe
from memory_assets.audits.ways.by_outputs import ByFit, ByPredictions
from memory_assets.audits.ways.by_recipe import ByRecipe
from memory_assets.audits.ways.protocol import Way
from memory_assets.digest import digest, digest_file
from memory_assets.language_subjects import LanguageModelSubject
from memory_assets.made_by import command_words, module_file, tokenizer_files
from memory_assets.models.callables import FitCallable, FitCommand
from memory_assets.records.dataset import import_attribute
from memory_assets.subjects import ClassifierSubject, PooledSubject

_read: dict[str, str] = {}
"""Digests of the files of the owner's modules, as this process found them when it imported them."""


def _import(reference: str, field: str) -> None:
    """Import the module that a function is in as its file is now, again if it was edited since.

    What the old code trains must not stand under the digest of the new.

    Raises:
        InputError: it cannot be imported, or has no such function.
    """
    import_attribute(reference, field)
    module, now = reference.partition(":")[0], digest_file(module_file(reference, field))
    if _read.setdefault(module, now) != now:
        sys.modules.pop(module, None)
        import_attribute(reference, field)
        _read[module] = now


def _code(subject: PooledSubject, root: Path) -> str:
    """Digest of the files that shadow models are made by; where they lie does not matter."""
    return digest({name: digest_file(file) for name, file in subject.makers(root).items()})


def _language_way(subject: LanguageModelSubject, root: Path, device: str) -> ByLanguageRecipe:
    assert subject.recipe is not None  # without a recipe it has no pool
    tokenizer = root / subject.recipe.tokenizer
    files = {file.name: digest_file(file) for file in tokenizer_files(tokenizer)}
    _import(subject.recipe.model, "recipe.model")
    return ByLanguageRecipe(
        subject.recipe.recipe(), _code(subject, root), device, tokenizer, digest(files)
    )


def way_of(subject: PooledSubject, root: Path, device: str) -> Way:
    """The way by which a subject's model came, its paths taken from `root`.

    Raises:
        InputError: a factory or training callable that cannot be imported, a file that is missing.
    """
    if isinstance(subject, LanguageModelSubject):
        return _language_way(subject, root, device)
    assert isinstance(subject, ClassifierSubject)
    if subject.recipe is not None:
        recipe = subject.recipe.recipe()
        _import(recipe.model, "recipe.model")  # a clear refusal where there is no such factory
        return ByRecipe(recipe, _code(subject, root), device, subject.queries)
    if subject.fit is not None:
        _import(subject.fit, "fit")
        code = digest(subject.fit, _code(subject, root))
        return ByFit(FitCallable(subject.fit), code, subject.pool.seed)
    if subject.command is not None:
        words, _ = command_words(subject.command.run, root)
        code = digest(subject.command.run, _code(subject, root))
        source = FitCommand(words, subject.command.time_limit)
        return ByFit(source, code, subject.pool.seed)
    assert subject.predictions is not None
    shadows = subject.predictions.shadows
    return ByPredictions(root / shadows if shadows else None)
