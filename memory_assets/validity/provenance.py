"""Provenance: does a version say itself that it was trained on the listed members?"""

from __future__ import annotations

from memory_assets.models.checkpoints import Manifest
from memory_assets.results.estimate import Control
from memory_assets.results.findings import finding


def provenance(
    manifest: Manifest | None, members: str, data: str, *, named: bool = True
) -> Control:
    """The manifest that a version carries against digests of the listed members and of the data.

    `named` says whether the ids name their records. Numbers of rows name none: other members of the
    same number have the same ids, so the data must be the same as well.
    """

    def found(passed: bool, key: str) -> Control:
        return Control("provenance", passed, None, None, None, (finding(f"provenance.{key}"),))

    if manifest is None:
        return found(True, "no_manifest")
    same_data = manifest.data_digest == data
    if manifest.members_digest != members or not (named or same_data):
        return found(False, "other_members")
    return found(True, "same_data" if same_data else "data_changed")
