"""memory-assets canaries: plant secrets with a known answer into a copy of a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memory_assets.errors import InputError


def canaries(
    corpus: Annotated[Path, typer.Argument(help="Texts: Parquet, JSON lines, .txt or a folder.")],
    output: Annotated[Path, typer.Argument(help="Folder for members.jsonl and canaries.json.")],
    column: Annotated[str, typer.Option(help="Column or field of the text.")] = "text",
    id_column: Annotated[str | None, typer.Option("--id", help="Column of text ids.")] = None,
    template: Annotated[
        list[str] | None, typer.Option(help="Template by name; may be given again.")
    ] = None,
    templates: Annotated[
        Path | None, typer.Option(help=r"TOML file of your own templates: \[name] text, pattern.")
    ] = None,
    repetitions: Annotated[
        str, typer.Option(help="Copies of a secret, by tier; 0 makes controls.")
    ] = "0,1,4,16",
    per_tier: Annotated[int, typer.Option(help="Secrets of each template and tier.")] = 6,
    controls: Annotated[int, typer.Option(help="Secrets that are never planted.")] = 24,
    seed: Annotated[int, typer.Option(help="The same seed makes the same secrets.")] = 0,
) -> None:
    """Plant secrets in a copy of a corpus; train on the copy, audit with the manifest."""
    from memory_assets.records.canaries import TEMPLATES, load_templates, make_secrets, plant
    from memory_assets.records.texts import load_texts

    own = load_templates(templates) if templates else {}
    known = TEMPLATES | own
    names = list(dict.fromkeys(template or own or ["account-en"]))
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"--template {unknown[0]!r}; expected one of {', '.join(known)}")
    try:
        tiers = [int(part) for part in repetitions.split(",")]
    except ValueError as error:
        raise InputError(f"--repetitions {repetitions!r}; expected such as 0,1,4,16") from error
    texts, manifest = output / "members.jsonl", output / "canaries.json"
    if taken := [path for path in (texts, manifest) if path.exists()]:
        raise InputError(f"{taken[0]}: is there already; give another folder or remove it")
    secrets = make_secrets([known[n] for n in names], tiers, per_tier, seed, controls)
    planted, written = plant(load_texts(corpus, column, id_column), secrets, seed)
    planted.write(texts)
    written.write(manifest)
    copies = sum(secret.repetitions for secret in secrets)
    print(f"wrote {texts}: {len(planted)} texts, {copies} of them planted")
    print(f"wrote {manifest}: {len(secrets)} secrets with their values; keep it private")
    print("Next: train on the copy, then name both under members and manifest in defs.yaml")
