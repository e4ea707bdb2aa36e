"""What every asset that concludes an audit says the same way, of whatever kind the model is."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable
from datetime import UTC, datetime

import dagster as dg

from memory_assets.dagster.markdown import as_text
from memory_assets.dagster.pages import question_url
from memory_assets.history.bundle import AuditBundle
from memory_assets.results.estimate import Control


def began(context: dg.AssetExecutionContext) -> datetime:
    """When this run started; now, where the instance does not say."""
    run = context.instance.get_run_record_by_id(context.run.run_id)
    return datetime.fromtimestamp(run.start_time if run and run.start_time else time.time(), UTC)


def control_list(controls: Iterable[Control]) -> dg.MarkdownMetadataValue:
    """The controls as Markdown, a line each: did it hold, and its sentence."""
    return dg.MetadataValue.md(
        "\n".join(
            f"- **{c.control}**: {'passed' if c.passed else 'FAILED'}. {as_text(c.detail)}"
            for c in controls
        )
    )


def how_it_got_here(bundle: AuditBundle) -> dict[str, dg.MetadataValue]:
    """Where the history says what an audit was made from: the answer with its SQL, the command."""
    subject, version = bundle.audit.subject, bundle.audit.model_version
    named = ["--subject", subject, "--version", version]
    asked = shlex.join(["memory-assets", "query", "how_was_it_made", *named])
    return {
        "how it got here": dg.MetadataValue.url(
            question_url("how_was_it_made", subject=subject, version=version)
        ),
        "the same in a terminal": dg.MetadataValue.text(asked),
    }
