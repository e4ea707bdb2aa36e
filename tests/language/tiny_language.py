"""The recipe of a tiny model, and prose for it."""

from __future__ import annotations

from faker import Faker

from memory_assets.examples.notes import NotesRecipe
from memory_assets.records.texts import Texts

TINY = NotesRecipe(
    vocabulary=384, layers=2, width=64, heads=2, window=96, batch_tokens=1024, lr=1e-2, epochs=30
)


def sentences(name: str, count: int, seed: int) -> Texts:
    """Made-up prose: random words, so that nobody can guess how a text goes on."""
    fake = Faker("en_US")
    fake.seed_instance(seed)
    return Texts(
        tuple(f"{name}-{i:03d}" for i in range(count)),
        tuple(" ".join(fake.words(14)).capitalize() + "." for _ in range(count)),
    )
