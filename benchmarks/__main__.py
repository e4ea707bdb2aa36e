"""`python -m benchmarks [NAME ...] [--OPTION ...]`: run the benchmarks, each in its own process.

Options go to the one benchmark that is named.

Every figure is a ratio or a bound measured in the one run that prints it. The status is not 0 where
a benchmark failed or missed a goal; the others run all the same.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))


def main(arguments: list[str]) -> int:
    cut = next((i for i, a in enumerate(arguments) if a.startswith("-")), len(arguments))
    wanted, options = arguments[:cut], arguments[cut:]
    if options and len(wanted) != 1:
        print("options need the one benchmark that they are for", file=sys.stderr)
        return 2
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    failed = []
    for name in wanted or NAMES:
        print(f"\n== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *options]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed, or missed a goal: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
