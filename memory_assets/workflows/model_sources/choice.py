"""Which way a subject's model came, ready to be asked."""

from __future__ import annotations

from pathlib import Path

from memory_assets.config.classifier import ClassifierSubject, PooledSubject
from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.models.callables import FitCallable, FitCommand
from memory_assets.owner.makers import TRAINER_STANDS_ON, command_words, packages, tokenizer_files
from memory_assets.records.dataset import import_attribute
from memory_assets.store.digest import digest, digest_file
from memory_assets.workflows.model_sources.by_language_recipe import ByLanguageRecipe
from memory_assets.workflows.model_sources.by_outputs import ByFit, ByPredictions
from memory_assets.workflows.model_sources.by_recipe import ByRecipe
from memory_assets.workflows.model_sources.protocol import Way


def _code(subject: PooledSubject, root: Path, versions: dict[str, str] | None = None) -> str:
    """Digest of the files that shadow models are made by, and of the packages that these import.

    Where they lie does not matter.
    """
    files = {name: digest_file(file) for name, file in subject.makers(root).items()}
    return digest(files, *([versions] if versions else []))


def _recipe_code(subject: PooledSubject, root: Path, model: str) -> str:
    """The same of a recipe whose factory is `model`, which must be there."""
    import_attribute(model, "recipe.model")
    return _code(subject, root, packages(model, "recipe.model", besides=TRAINER_STANDS_ON))


def _language_way(subject: LanguageModelSubject, root: Path, device: str) -> ByLanguageRecipe:
    assert subject.recipe is not None  # without a recipe it has no pool
    tokenizer = root / subject.recipe.tokenizer
    files = {file.name: digest_file(file) for file in tokenizer_files(tokenizer)}
    code = _recipe_code(subject, root, subject.recipe.model)
    return ByLanguageRecipe(subject.recipe.recipe(), code, device, tokenizer, digest(files))


def way_of(subject: PooledSubject, root: Path, device: str) -> Way:
    """The way by which a subject's model came, its paths taken from `root`.

    Raises:
        InputError: a factory or training callable that cannot be imported, a file that is missing.
    """
    if isinstance(subject, LanguageModelSubject):
        return _language_way(subject, root, device)
    assert isinstance(subject, ClassifierSubject)
    if subject.recipe is not None:
        code = _recipe_code(subject, root, subject.recipe.model)
        return ByRecipe(subject.recipe, code, device, subject.queries)
    if subject.fit is not None:
        import_attribute(subject.fit, "fit")
        code = digest(subject.fit, _code(subject, root, packages(subject.fit, "fit")))
        return ByFit(FitCallable(subject.fit), code, subject.pool.seed)
    if subject.command is not None:
        words, _ = command_words(subject.command.run, root)
        code = digest(subject.command.run, _code(subject, root))
        source = FitCommand(words, subject.command.time_limit)
        return ByFit(source, code, subject.pool.seed)
    assert subject.predictions is not None
    shadows = subject.predictions.shadows
    return ByPredictions(root / shadows if shadows else None)
