"""memory-assets profile: what a risk profile assumes, and which inputs decide most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from memory_assets.cli.common import print_table, project_root
from memory_assets.errors import InputError

if TYPE_CHECKING:  # the risk model brings scipy along, which no other command waits for
    from memory_assets.risk.profile import Profile


def _list() -> None:
    """Print the shipped profiles."""
    from memory_assets.risk.reading import load_profile, shipped_profiles

    rows: list[list[object]] = []
    for shipped in shipped_profiles():
        profile = load_profile(shipped)
        rows.append([shipped, profile.title, profile.currency])
    print_table("Profiles", ["name", "title", "currency"], rows)


def _named(name: str) -> Profile:
    from memory_assets.risk.reading import load_profile

    here = project_root() / name
    return load_profile(here if here.is_file() else name)


def _sized(industry: str, currency: str, numbers: Mapping[str, float | None]) -> Profile:
    """The profile of a company that states four numbers.

    Raises:
        InputError: one of them is missing or wrong.
    """
    from memory_assets.risk.company import small_company

    missing = [name for name, value in numbers.items() if value is None]
    if missing:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        raise InputError(f"a company of {industry}: give {options} as well")
    given = {name: value for name, value in numbers.items() if value is not None}
    return small_company(
        industry,
        round(given["records"]),
        given["queries_per_month"],
        given["revenue"],
        currency,
    )


def _show(profile: Profile) -> None:
    """Print a profile's inputs with their grounds, and the three that decide most."""
    from memory_assets.risk.describe import describe

    found = describe(profile)
    lines: list[list[object]] = [
        [
            line.name,
            f"{line.mean:,.6g}",
            f"{line.low:,.6g} to {line.high:,.6g}",
            line.unit,
            line.basis + (" (default)" if line.defaulted else ""),
            line.source + (" (not verified)" if line.verified is False else ""),
        ]
        for line in found.lines
    ]
    print_table(found.title, ["input", "mean", "5% to 95%", "unit", "ground", "source"], lines)
    print("Grounds: " + ", ".join(f"{n} {basis}" for basis, n in found.by_basis.items() if n))
    first = [f"{s.name} ({s.basis})" for s in found.matter_most]
    print("These three decide most; measure them first: " + ", ".join(first))


def profile(
    name: Annotated[
        str | None, typer.Argument(help="A shipped profile or a TOML file; without, the list.")
    ] = None,
    industry: Annotated[
        str | None, typer.Option(help="In place of a name: size the industry's profile.")
    ] = None,
    records: Annotated[
        int | None, typer.Option(help="Sensitive records that the model was trained on.")
    ] = None,
    queries_per_month: Annotated[
        float | None, typer.Option(help="How often the model is asked.")
    ] = None,
    revenue: Annotated[float | None, typer.Option(help="A year's turnover.")] = None,
    currency: Annotated[str, typer.Option(help="JPY, USD or EUR.")] = "USD",
) -> None:
    """Show what a profile says, on what ground, and which three inputs matter most."""
    numbers = {"records": records, "queries_per_month": queries_per_month, "revenue": revenue}
    if industry is not None and name is not None:
        raise InputError("give a profile's name or --industry, not both")
    if industry is not None:
        _show(_sized(industry, currency, numbers))
    elif any(value is not None for value in numbers.values()):
        raise InputError("--records, --queries-per-month and --revenue need --industry")
    elif name is not None:
        _show(_named(name))
    else:
        _list()
