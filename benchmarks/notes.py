"""Does the shipped subject show what it is shipped to show? Three seeds, exposure by repetition.

Run `python -m benchmarks.notes [SEEDS]`. For each seed prose, canaries and model are drawn anew by
the shipped recipe; printed are the seconds that training takes of one core, what plain loss tells
of the prose, and exposure and recitation by repetition. Unplanted secrets must stay at chance.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks._goals import Goals
from memory_assets.examples import notes
from memory_assets.language.audit import audit_language_model
from memory_assets.language.options import LanguageOptions
from memory_assets.pool.trainer import settled

OPTIONS = LanguageOptions(references=1000, attacks=("loss",), generated=0)


def show(seed: int, folder: Path, goals: Goals) -> None:
    recipe = replace(notes.RECIPE, seed=seed)
    members, held_out, rest = notes.split_prose(recipe)
    planted, manifest = notes.plant_notes(recipe, members)
    notes.train_tokenizer(rest, recipe, folder)
    seconds = notes.train(planted, folder, recipe, folder)
    found = audit_language_model(
        folder, planted, held_out, manifest=manifest, options=OPTIONS, device="cpu"
    )
    rows = {(m.name, m.metric, m.stratum): m.estimate for m in found.measurements}
    auc = rows["loss", "auc", "all"]
    print(f"seed {seed}: trained in {seconds:.0f} s of one core; AUC of plain loss {auc.value:.3f}")
    for tier in ("unplanted", *(f"repetitions={r}" for r in recipe.repetitions if r)):
        bits = rows["exposure", "mean_exposure", tier]
        said = rows["secret", "secret_extraction_rate", tier]
        print(f"  {tier}: {bits.value:.1f} bits ({bits.status}), {said.k} of {said.n} recited")
    control = next(c for c in found.controls if c.control == "unplanted_canaries")
    told = goals.check(f"unplanted secrets at chance, seed {seed}", bool(control.passed))
    print(f"  {told}: {control.detail}")


def main(seeds: int) -> int:
    goals = Goals()
    with settled("cpu"):
        for seed in range(1, seeds + 1):
            with tempfile.TemporaryDirectory() as folder:
                show(seed, Path(folder), goals)
    return goals.exit_code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
