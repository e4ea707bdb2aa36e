"""One audit and one profile that the risk tests vary."""

from __future__ import annotations

import pytest

from memory_assets.results.estimate import Estimate
from memory_assets.risk.evidence import Evidence, Membership, Stratum, Utility
from memory_assets.risk.profile import Profile
from memory_assets.risk.reading import load_profile


@pytest.fixture
def evidence() -> Evidence:
    return Evidence(
        audit_id="audit-1",
        verdict="fail",
        strata=(Stratum("1 copy", 1, 1000, 0.95), Stratum("10+ copies", 12, 300, 0.05)),
        membership=Membership("lira_online", tp=40, members=1000, fp=5, non_members=1000),
        utility=Utility(
            metric="accuracy",
            held_out=Estimate(0.90, 0.88, 0.92, n=1000, k=900),
            training=0.99,
            memorized_share=Estimate(0.10, 0.05, 0.20, n=100),
        ),
    )


@pytest.fixture
def profile() -> Profile:
    return load_profile("healthcare-jp")
