"""Training commands may speak to Dagster: their logs and metadata arrive by Dagster Pipes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dagster as dg

from memory_assets.models.callables import Surroundings

# Dagster's own reader of messages still counts as a preview to Dagster.
warnings.filterwarnings("ignore", category=dg.PreviewWarning, message=".*expected_writer_count")


def pipes_session(context: dg.OpExecutionContext) -> Surroundings:
    """A Pipes session for every command, each with its own channel.

    A command that calls `dagster_pipes.open_dagster_pipes()` can log to the run and report
    messages; one that does not know of Pipes is none the worse.
    """

    @contextmanager
    def session() -> Iterator[Mapping[str, str]]:
        with dg.open_pipes_session(
            context, dg.PipesEnvContextInjector(), dg.PipesTempFileMessageReader()
        ) as opened:
            yield opened.get_bootstrap_env_vars()

    return session
