"""Known vulnerabilities in the pinned dependencies: exit 1 on one, a plain word where none can say.

pip-audit asks the package registry about every pin of constraints.txt. A proxy that answers "not
found" to everything looks to it like a clean bill, so what was really looked up is counted.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PINS = Path(__file__).parents[1] / "constraints.txt"
_SECONDS = 120
# What pip-audit, requests and urllib3 say where the network gives no answer.
_UNREACHED = re.compile(
    r"ConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|MaxRetryError|HTTPError|"
    r"NameResolutionError|NewConnectionError|Could not connect|timed out",
    re.IGNORECASE,
)


def ask(pins: Path) -> dict | str | None:
    """What pip-audit found; None where no registry was reached, or what else went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        asked, report = Path(folder, "pins.txt"), Path(folder, "report.json")
        # A local build such as 2.13.0+cpu is known to advisories as 2.13.0.
        lines = [line.partition("+")[0] for line in pins.read_text().splitlines()]
        asked.write_text("\n".join(lines))
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(asked), "--no-deps"]
        command += ["--disable-pip", "--format", "json", "--output", str(report)]
        command += ["--progress-spinner", "off", "--timeout", "10"]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return None
        if report.is_file():
            return json.loads(report.read_text())
        return None if _UNREACHED.search(done.stderr) else _last_line(done)


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    said = done.stderr.strip().splitlines()
    return said[-1] if said else f"ended with {done.returncode} and said nothing"


def judge(found: dict | str | None) -> tuple[int, list[str]]:
    """The exit code, and what to print, for what pip-audit found."""
    if isinstance(found, str):
        return 1, [f"dependencies: pip-audit failed, so nothing was asked: {found}"]
    packages = [] if found is None else found["dependencies"]
    asked = [package for package in packages if "skip_reason" not in package]
    if not asked:
        return 0, ["dependencies: registry not reached, so nothing is known of vulnerabilities"]
    bad = [
        f"{package['name']} {package['version']}: {flaw['id']}, "
        f"fixed in {', '.join(flaw['fix_versions']) or 'no release yet'}"
        for package in asked
        for flaw in package["vulns"]
    ]
    unknown = len(packages) - len(asked)
    note = f", {unknown} the registry does not know" if unknown else ""
    return int(bool(bad)), [*bad, f"dependencies: {len(asked)} asked about, {len(bad)} flaws{note}"]


if __name__ == "__main__":
    code, lines = judge(ask(PINS))
    print("\n".join(lines))
    sys.exit(code)
