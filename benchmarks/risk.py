"""How long a pricing run takes: 1,000,000 simulated years for six options, in each shipped profile.

Run with `python -m benchmarks.risk`. The ratio is what matters from machine to machine: the time
against that of sorting and drawing as many numbers with numpy alone. Ends with 1 when a profile
takes 5 s or more.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks._goals import Goals
from memory_assets.results.estimate import Estimate
from memory_assets.risk.evidence import Evidence, Membership, Stratum, Utility
from memory_assets.risk.pricing import price
from memory_assets.risk.reading import load_profile

YEARS, OPTIONS = 1_000_000, 6
BOUND = 5.0  # seconds a profile
EVIDENCE = Evidence(
    audit_id="benchmark",
    verdict="fail",
    strata=(Stratum("1 copy", 1, 1000, 0.95), Stratum("10+ copies", 12, 300, 0.05)),
    membership=Membership("lira_online", tp=40, members=1000, fp=5, non_members=1000),
    utility=Utility("accuracy", Estimate(0.90, 0.88, 0.92, n=1000)),
)


def _yardstick() -> float:
    """Seconds to draw and sort one number per option and year."""
    rng = np.random.default_rng(0)
    start = time.process_time()
    for _ in range(OPTIONS):
        np.sort(rng.random(YEARS))
    return time.process_time() - start


def main() -> int:
    """Print seconds and the ratio to the yardstick, profile by profile."""
    goals = Goals()
    yardstick = _yardstick()
    print(f"drawing and sorting {OPTIONS} x {YEARS:,} numbers: {yardstick:.2f} s")
    for name in ("healthcare-jp", "retail-us", "software-service-eu"):
        profile = load_profile(name)
        start, cpu = time.perf_counter(), time.process_time()
        report = price(EVIDENCE, profile, years=YEARS)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        ratio = cpu / yardstick
        loss = report.options[0].expected_loss
        error = loss.mc_error / (loss.value or 1)
        word = goals.check(name, seconds < BOUND)
        print(
            f"{name}: {len(report.options)} options, {seconds:.2f} s ({cpu:.2f} s of "
            f"processor, {ratio:.1f} x the yardstick), "
            f"Monte-Carlo error of the expected loss {error:.1%}; "
            f"bound {BOUND:g} s: {word}"
        )
    return goals.exit_code


if __name__ == "__main__":
    raise SystemExit(main())
