"""Where steps run: in this process, unless one setting names another executor of Dagster.

Nothing else changes with it. Blocks of shadow models are steps that hand each other paths and
digests, so whatever runs them needs the state folder and the project, and stores the same bits.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

# `dg.build_reconstructable_job` takes no job over assets.
from dagster._core.code_pointer import CustomPointer, ModuleCodePointer
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository

from memory_assets.config.yaml_files import parse_yaml
from memory_assets.dagster.workers import executed_here
from memory_assets.errors import InputError
from memory_assets.workflows.home import find_home

if TYPE_CHECKING:
    from dagster._core.events import DagsterEvent
    from dagster._core.execution.context.system import PlanOrchestrationContext
    from dagster._core.execution.plan.plan import ExecutionPlan
    from dagster._core.execution.retries import RetryMode
    from dagster._core.execution.step_dependency_config import StepDependencyConfig

SETTING = "MEMORY_ASSETS_EXECUTOR"
CONFIG = "MEMORY_ASSETS_EXECUTOR_CONFIG"
IN_PROCESS = "in_process"

_EXECUTORS = {
    IN_PROCESS: ("dagster", "in_process_executor"),
    "multiprocess": ("dagster", "multiprocess_executor"),
    "ray": ("dagster_ray", "ray_executor"),
    "celery": ("dagster_celery", "celery_executor"),
    "k8s": ("dagster_k8s", "k8s_job_executor"),
}

# What a step's process must know wherever it is started.
_PASSED = ("MEMORY_ASSETS_HOME", "DAGSTER_HOME", "OMP_NUM_THREADS")


def _defaults(name: str) -> dict[str, Any]:
    if name == "multiprocess":
        # Imports are paid for once: a step's process is forked from a server that has them.
        preload = {"preload_modules": ["torch", "memory_assets.dagster.definitions"]}
        return {"max_concurrent": os.cpu_count() or 1, "start_method": {"forkserver": preload}}
    if name == "ray":
        known = [variable for variable in _PASSED if variable in os.environ]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        modules = [str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])]
        own = [f"PATH={path}", f"PYTHONPATH={os.pathsep.join(modules)}"]
        return {"ray": {"num_cpus": 1, "env_vars": [*known, *own]}}
    return {}


def _config(name: str) -> dict[str, Any]:
    """The default configuration with what the owner gives put over it."""
    text, config = os.environ.get(CONFIG), _defaults(name)
    if not text:
        return config
    given = parse_yaml(text, CONFIG)
    if not isinstance(given, dict):
        raise InputError(f"{CONFIG}: {text!r}; expected a mapping, such as {{max_concurrent: 4}}")
    for key, value in given.items():
        inner = config.get(key)
        if isinstance(inner, dict) and isinstance(value, dict):
            config[key] = {**inner, **value}
        else:
            config[key] = value
    return config


def executor_name() -> str:
    """The name of the executor that the setting asks for.

    Raises:
        InputError: an unknown name.
    """
    name = os.environ.get(SETTING) or IN_PROCESS
    if name not in _EXECUTORS:
        raise InputError(f"{SETTING}: {name!r}; expected one of {', '.join(_EXECUTORS)}")
    return name


def cores() -> int:
    """Processes that one step may train with: all cores where steps run one after the other, one
    where each has a process of its own."""
    return (os.cpu_count() or 1) if executor_name() == IN_PROCESS else 1


class _Recording(dg.Executor):
    """Another executor; the run says first by which process it is executed."""

    def __init__(self, inner: dg.Executor) -> None:
        self._inner = inner

    @property
    def retries(self) -> RetryMode:
        return self._inner.retries

    @property
    def step_dependency_config(self) -> StepDependencyConfig:
        return self._inner.step_dependency_config

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[DagsterEvent]:
        instance, run_id = plan_context.instance, plan_context.dagster_run.run_id
        if tag := executed_here(instance, run_id, find_home().root):
            instance.add_run_tags(run_id, tag)
        yield from self._inner.execute(plan_context, execution_plan)


def _recording(found: dg.ExecutorDefinition) -> dg.ExecutorDefinition:
    """The same executor, whose runs name their process, so that others' runs are told apart."""

    def create(context: dg.InitExecutorContext) -> dg.Executor:
        made = found.executor_creation_fn
        assert made is not None  # every executor that runs steps has one
        return _Recording(made(context))

    return dg.ExecutorDefinition(
        name=found.name,
        config_schema=found.config_schema,  # pyright: ignore[reportArgumentType]
        requirements=found.get_requirements,
        executor_creation_fn=create,
        description=found.description,
    )


def executor() -> dg.ExecutorDefinition:
    """The executor that `MEMORY_ASSETS_EXECUTOR` names, configured.

    `MEMORY_ASSETS_EXECUTOR_CONFIG` (YAML or JSON) is put over the default configuration.

    Raises:
        InputError: an unknown name, or a package that is not installed.
    """
    name = executor_name()
    module, attribute = _EXECUTORS[name]
    try:
        found: dg.ExecutorDefinition = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        package = module.replace("_", "-")
        raise InputError(
            f"{SETTING}: {name} needs {package}, which is not installed; "
            f"install it, or choose {IN_PROCESS} or multiprocess"
        ) from error
    config = _config(name)
    recording = _recording(found)
    return recording.configured(config) if config else recording


def project(root: str) -> dg.Definitions:
    """The graph of a project, as another process builds it again."""
    from memory_assets.dagster.definitions import build_definitions

    return build_definitions(Path(root))


def portable_job(root: Path, name: str) -> ReconstructableJob:
    """The job of this name in the form that steps in other processes are started from."""
    pointer = CustomPointer(ModuleCodePointer(__name__, "project", str(root)), [str(root)], [])
    return ReconstructableRepository(pointer).get_reconstructable_job(name)
