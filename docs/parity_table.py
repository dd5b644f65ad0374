"""Writes the parity table into README.md from `parity/results.csv`; `make parity` runs it."""

from __future__ import annotations

import sys
from pathlib import Path

from neuroloom.catalogue.parity import NOT_YET, load_parity
from neuroloom.catalogue.search import load_tools

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- parity: begin -->", "<!-- parity: end -->"


def parity_table() -> str:
    """Return the checks as a Markdown table, and how many tools are still without."""
    head = "| tool | claim | figure | bar | passed | date |\n|---|---|---|---|---|---|"
    rows = [
        f"| {row.tool} | {row.claim} | {row.figure} | {row.bar} | {'yes' if row.passed else 'no'} "
        f"| {row.date} |"
        for row in load_parity()
    ]
    waiting = sum(tool.parity == NOT_YET for tool in load_tools())
    return "\n".join([head, *rows, "", f"{waiting} of {len(load_tools())} tools: {NOT_YET}."])


def with_table(text: str) -> str:
    """Return the README's text with the table between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{parity_table()}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{README.name} follows parity/results.csv\n")
