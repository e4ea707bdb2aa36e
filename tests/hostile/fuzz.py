"""Coverage-guided fuzzing of one parser, for as long as you like.

    python -m tests.hostile.fuzz "records npz" --seconds 600

looks for bytes that are neither read nor refused in one clear line, slow ones (over 10 s) and
greedy ones (over 4 GiB of further address space). It needs the package atheris, and prints how many
inputs it tried. A failing input is kept as `crash-*` in the current folder: make a test of it.
Without a name it lists the parsers; with `all` it takes one after the other.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from tests.hostile.hostile_limits import bounded
from tests.hostile.hostile_parsers import PARSERS

_INSTRUMENTED = (
    "memory_assets",
    "memory_assets.dagster.subjects",
    "memory_assets.dagster.notifications",
    "yaml",
    "tomllib",
    "zipfile",
    "numpy.lib.format",
    "PIL",
    "pickle",
    "torch._weights_only_unpickler",
)


def _instrument() -> None:
    """The parsers are imported again with counters in them."""
    import atheris

    again = ("memory_assets", "dagster_project", "tests.hostile.", "yaml", "PIL")
    for name in [name for name in sys.modules if name.startswith(again)]:
        del sys.modules[name]
    with atheris.instrument_imports(include=list(_INSTRUMENTED)):
        import tests.hostile.hostile_parsers  # noqa: F401


def fuzz(name: str, seconds: int) -> None:
    """Fuzz in this process, which ends in it."""
    import atheris

    _instrument()
    from tests.hostile import hostile_parsers

    parser = hostile_parsers.PARSERS[name]
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="memory-assets-fuzz-") as temporary:
        corpus, work = Path(temporary, "corpus"), Path(temporary, "work")
        corpus.mkdir()
        for number, content in enumerate(parser.seeds()):
            (corpus / str(number)).write_bytes(content)
        words = Path(temporary, "words")
        words.write_text("".join(f'"{_quoted(word)}"\n' for word in parser.words if len(word) < 60))

        def once(content: bytes) -> None:
            work.mkdir(exist_ok=True)
            hostile_parsers.attempt(parser, content, work)

        options = [f"-max_total_time={seconds}", f"-dict={words}", "-timeout=10", "-max_len=8192"]
        options += ["-rss_limit_mb=6000", "-verbosity=0", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *options, str(corpus)], once)
        with bounded(gib=4, seconds=float("inf")):
            atheris.Fuzz()


def _quoted(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def _one_after_the_other(names: list[str], seconds: int) -> int:
    """Each in a process of its own; returns how many failed."""
    failed = 0
    for name in names:
        command = [sys.executable, "-m", "tests.hostile.fuzz", name, "--seconds", str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True)
        stats = [line for line in done.stderr.splitlines() if "executed_units" in line]
        tried = stats[0].rpartition(" ")[2] if stats else "?"
        how = "nothing found" if not done.returncode else f"FAILED with {done.returncode}"
        print(f"{name}: {tried} inputs, {how}", flush=True)
        if done.returncode:
            failed += 1
            print(done.stderr[-3000:])
    return failed


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("parser", nargs="?", choices=[*PARSERS, "all"])
    arguments.add_argument("--seconds", type=int, default=60)
    given = arguments.parse_args()
    if given.parser is None:
        print("\n".join(PARSERS))
    elif given.parser == "all":
        sys.exit(_one_after_the_other(list(PARSERS), given.seconds) > 0)
    else:
        fuzz(given.parser, given.seconds)


if __name__ == "__main__":
    main()
