"""A model of 135 million parameters, audited as its owner would: time, estimate and memory.

Architecture and size are those of SmolLM-135M (30 layers of 576, vocabulary 49,152, bfloat16 on
disk); the weights are random, since time and memory do not depend on what a model learned. The
audit is the command `memory-assets audit` in a process of its own, over a project with one YAML
file; its progress is printed as it comes. Before that, the values of one secret are ranked behind a
long text, with the numbers that an audit has by default.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import yaml

from benchmarks._goals import Goals

TEXTS = 125
CHARACTERS = 100
LIMIT_GIB = 4.0
VALUE = 6
LONG_REFERENCES = 20  # of 2,000: each has its own copy of the state of the prefix
# Few and short, so that one core has read them within minutes.
PROBES = {
    "prefix": 10,
    "suffix": 10,
    "generated": 8,
    "control_texts": 50,
    "references": 100,
    "attacks": ["loss", "min_k", "min_k_plus_plus", "zlib"],
}


def _make_model(folder: Path, texts: list[str]) -> int:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from memory_assets.examples import notes

    folder.mkdir(parents=True)
    notes.train_tokenizer(texts, replace(notes.RECIPE, vocabulary=8192, window=2048), folder)
    config = LlamaConfig(
        vocab_size=49_152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    return sum(p.numel() for p in model.parameters())


def _make_project(root: Path) -> int:
    """A project with one subject: texts, canaries, one version; returns its parameters."""
    from memory_assets.examples import notes
    from memory_assets.records.canaries import TEMPLATES, make_secrets, plant
    from memory_assets.records.texts import Texts

    paragraphs = [text[:CHARACTERS] for text in notes.prose()]
    members, held_out = (
        Texts(tuple(f"{side}-{i}" for i in range(TEXTS)), tuple(paragraphs[side::2][:TEXTS]))
        for side in (0, 1)
    )
    secrets = make_secrets([TEMPLATES["account-en"]], (0, 1, 4), 2, seed=0)
    planted, manifest = plant(members, secrets, seed=0)
    planted.write(root / "members.jsonl")
    held_out.write(root / "held_out.jsonl")
    manifest.write(root / "canaries.json")
    subject = {
        "subject": "large",
        "members": {"path": "members.jsonl", "id": "id"},
        "held_out": {"path": "held_out.jsonl", "id": "id"},
        "manifest": "canaries.json",
        "checkpoints": "models",
        "probes": PROBES,
    }
    checkout = Path(__file__).parents[1]
    shutil.copy(checkout / "pyproject.toml", root)
    shutil.copytree(checkout / "dagster_project", root / "dagster_project")
    for other in (root / "dagster_project" / "defs").glob("*/defs.yaml"):
        shutil.rmtree(other.parent)
    defs = root / "dagster_project" / "defs" / "large" / "defs.yaml"
    defs.parent.mkdir(parents=True)
    defs.write_text(
        yaml.safe_dump({"type": "memory_assets.LanguageModelAudit", "attributes": subject})
    )
    return _make_model(root / "models" / "v1", paragraphs[2 * TEXTS :])


def _long_prefix(folder: Path) -> int:
    """Rank one secret behind a prefix that fills the context, and print time and peak memory."""
    import numpy as np

    from memory_assets.language.continuations import branch_log_p, grow_trunk, sample_branches
    from memory_assets.language.model import load_language_model
    from memory_assets.language.options import LanguageOptions

    options, rng = LanguageOptions(), np.random.default_rng(0)
    model = load_language_model(folder, device="cpu")
    prefix = rng.integers(2, model.vocabulary, model.context - VALUE)
    values = rng.integers(2, model.vocabulary, (LONG_REFERENCES, VALUE))
    values[:, 0] = values[0, 0]
    started = time.perf_counter()
    trunk = grow_trunk(model, prefix)
    read = time.perf_counter() - started
    branch_log_p(trunk, list(values))
    ranked = time.perf_counter() - started - read
    sample_branches(trunk, 2, options.proposals, options.sampling.top_k, 1.0, 0)
    sampled = time.perf_counter() - started - read - ranked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    goals = Goals()
    met = goals.check("peak memory behind a long prefix", peak < LIMIT_GIB)
    print(
        f"behind a prefix of {len(prefix)} tokens: {read:.0f} s to read it, "
        f"{1000 * ranked / LONG_REFERENCES:.0f} ms a value of {VALUE} tokens ({LONG_REFERENCES} of "
        f"the {options.references} of an audit), {options.proposals} proposals of 2 tokens in "
        f"{sampled:.0f} s; peak memory {peak:.2f} GiB (bound {LIMIT_GIB:g} GiB: {met})"
    )
    return goals.exit_code


def main() -> int:
    goals = Goals()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        # In a process of its own: a child's peak memory begins at that of its parent.
        subprocess.run([sys.executable, "-m", "benchmarks.large_language", name], check=True)
        long = [sys.executable, "-m", "benchmarks.large_language", str(root / "models" / "v1")]
        ranked = subprocess.run([*long, "long"], check=False)
        environment = os.environ | {"MEMORY_ASSETS_HOME": str(root / "home")}
        started = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-m", "memory_assets.cli", "audit", "large"],
            cwd=root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                print(f"  {time.perf_counter() - started:6.0f} s  {line.rstrip()}", flush=True)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        spent = time.perf_counter() - started
        estimate = re.search(r"will take about (\d+ \w+)", "".join(said))
        print(
            f"exit {process.returncode}; {spent:.0f} s of wall time, "
            f"{usage.ru_utime + usage.ru_stime:.0f} s of CPU time, start of Dagster and report "
            f"included; estimate before the audit: {estimate[1] if estimate else 'none seen'}"
        )
        peak = usage.ru_maxrss / 2**20
        met = goals.check("peak memory", peak < LIMIT_GIB)
        print(f"peak memory of the whole process: {peak:.2f} GiB (bound {LIMIT_GIB:g} GiB: {met})")
        return process.returncode or ranked.returncode or goals.exit_code


if __name__ == "__main__":
    if sys.argv[2:] == ["long"]:
        sys.exit(_long_prefix(Path(sys.argv[1])))
    elif len(sys.argv) > 1:
        made = _make_project(Path(sys.argv[1]))
        print(f"{made / 1e6:.1f} M parameters, {2 * TEXTS} texts of {CHARACTERS} characters")
    else:
        sys.exit(main())
