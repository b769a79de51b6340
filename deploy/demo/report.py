"""The demo's figures for a person: three short tables."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from shared.money import show


def print_report(report: dict[str, Any], console: Console) -> None:
    """Print what a marketer wants to know of the year."""
    day = report["as_of"][:10]
    console.print()
    console.print(
        f"[bold]{report['customers']:,}[/] customers, [bold]{report['receipts']:,}[/] receipts, "
        f"turnover [bold]{show(report['turnover_minor'])}[/]; as of {day}"
    )
    console.print(_segments(report["segments"]))
    console.print(_campaigns(report["campaigns"]))
    console.print(f"Mail caught: {report['mail_caught']:,}. Nothing is waiting.", style="dim")


def _segments(segments: dict[str, dict[str, int]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("Segment")
    for title in ("Members now", "Entered", "Left"):
        table.add_column(title, justify="right")
    for name, figures in segments.items():
        table.add_row(
            name,
            f"{figures['members']:,}",
            f"{figures['entered']:,}",
            f"{figures['exited']:,}",
        )
    return table


def _campaigns(campaigns: dict[str, dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("Campaign")
    for title in ("Sent", "Not sent", "Held out"):
        table.add_column(title, justify="right")
    table.add_column("Why not")
    for name, figures in campaigns.items():
        reasons = figures["suppressed"]
        table.add_row(
            name,
            f"{figures['sent']:,}",
            f"{sum(reasons.values()):,}",
            f"{figures['holdout']:,}",
            ", ".join(f"{reason.replace('_', ' ')}: {n:,}" for reason, n in reasons.items()),
        )
    return table
