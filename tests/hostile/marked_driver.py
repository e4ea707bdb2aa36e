"""Runs command lines of memory-assets one after the other in this process, as a user would.

Then it lets the sensor that tells of failed audits look at every run that failed.
"""

import functools
import json
import os
import sys
import time
from pathlib import Path

os.umask(0)  # whatever the user's umask leaves, nothing may be left to others

from memory_assets.cli.main import app  # noqa: E402
from memory_assets.dagster import auditing  # noqa: E402 - under the umask above
from memory_assets.workflows.home import find_home  # noqa: E402

# The graph of a project that does not change is built once, and not for every command.
auditing.build_definitions = functools.cache(auditing.build_definitions)


def _tell_of_failures(root: Path) -> None:
    import dagster as dg

    from memory_assets.dagster.sensors.notices import failures_sensor

    with dg.DagsterInstance.get() as instance:
        for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE])):
            failed = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.PIPELINE_FAILURE)
            context = dg.build_run_status_sensor_context(
                sensor_name="failed_audits",
                dagster_instance=instance,
                dagster_run=run,
                dagster_event=failed[0].get_dagster_event(),
                resources={"home": find_home()},
            ).for_run_failure()
            failures_sensor(root)(context)


codes = []
for arguments in json.loads(sys.argv[1]):
    try:
        app(arguments)
    except SystemExit as ended:
        codes.append([arguments, ended.code])
        print(f"{arguments}: {time.process_time():.0f} s so far")
if "--tell" in sys.argv:
    _tell_of_failures(Path.cwd())
Path(sys.argv[2]).write_text(json.dumps(codes))
