"""The page over all subjects, rebuilt whenever the history grows."""

from datetime import UTC, datetime

import dagster as dg

from memory_assets.dagster.automation import on_change
from memory_assets.dagster.failures import clear_failures
from memory_assets.dagster.pages import report_url
from memory_assets.store.digest import digest_file
from memory_assets.workflows.home import Home
from memory_assets.workflows.reporting import pages_version

KEY = dg.AssetKey(["portfolio", "dashboard"])


def dashboard_asset(history: dg.AssetKey) -> dg.AssetsDefinition:
    """Who needs attention, who leaks what by which attack, what got worse, what is due."""

    @dg.asset(
        key=KEY,
        group_name="portfolio",
        owners=["team:privacy"],
        kinds={"html"},
        code_version=pages_version(),
        # Dates pass, too: an audit falls due without anything having changed.
        automation_condition=on_change() | dg.AutomationCondition.cron_tick_passed("0 6 * * *"),
        deps=[history],
        description=(
            "All audited models on one page: verdicts, leakage by attack, trends with their "
            "intervals, regressions, and audits that are due."
        ),
    )
    def dashboard(home: dg.ResourceParam[Home]) -> dg.MaterializeResult:
        from memory_assets.workflows.portfolio import write_pages

        with clear_failures():
            pages = write_pages(home)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(digest_file(pages["en"])),
            metadata={
                "as of": datetime.now(UTC).isoformat(timespec="seconds"),
                **{
                    f"portfolio ({lang})": dg.MetadataValue.url(report_url(page, home.reports))
                    for lang, page in pages.items()
                },
                "folder": dg.MetadataValue.path(str(pages["en"].parent)),
            },
        )

    return dashboard
