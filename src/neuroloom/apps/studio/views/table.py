"""Tables (CSV, TSV, Parquet) by windows of rows."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroloom.apps.studio.views import View, Window
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import to_json

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.apps.studio.service import Studio

ROWS, MOST_ROWS, MOST_COLUMNS = 50, 500, 60
MOST_BYTES = 512 * 1024**2


class TableView(View):
    """Rows from any place of a table, sorted or not."""

    kind = "table"

    def header(self, path: Path) -> dict[str, Any]:
        """Return the number of rows, and of each column its name, type and a few words."""
        table = read_table(path)
        columns = [
            {"name": str(name), "type": str(table[name].dtype), "says": _says(table[name])}
            for name in table.columns[:MOST_COLUMNS]
        ]
        return {"rows": len(table), "columns": columns, "left_out": table.shape[1] - len(columns)}

    def window(self, path: Path, asked: dict[str, str]) -> Window:
        """Return rows: `start`, `count` (50), `sort` (a column; "-name" falls)."""
        start, count = _whole(asked, "start", 0), min(_whole(asked, "count", ROWS), MOST_ROWS)
        table = read_table(path)
        if name := asked.get("sort", ""):
            table = _sorted(table, name)
        part = table.iloc[start : start + count, :MOST_COLUMNS].copy()
        part.columns = [str(column) for column in part.columns]
        rows = [
            {key: _cell(value) for key, value in row.items()} for row in part.to_dict("records")
        ]
        return Window(to_json({"start": start, "rows": rows}).encode("utf-8", "backslashreplace"))

    def show(self, studio: Studio, data: str, over: str = "") -> None:
        """Build a table whose pages come from the server as they are turned."""
        from neuroloom.apps.studio.views.table_page import show

        show(self, studio, data)


def read_table(path: Path) -> pd.DataFrame:
    """Return a table; the last few stay in memory until their files change.

    Raises
    ------
    DataError
        If it cannot be read or is too large to look at here.
    """
    stat = path.stat()
    if stat.st_size > MOST_BYTES:
        raise DataError(f"{path.name} is larger than the {MOST_BYTES // 1024**2} MB shown here.")
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, changed: int, size: int) -> pd.DataFrame:
    import pandas as pd

    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else None, engine="python")
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path.name} cannot be read as a table ({reason}).") from None


def _sorted(table: pd.DataFrame, name: str) -> pd.DataFrame:
    falling, column = name.startswith("-"), name.removeprefix("-")
    named = {str(known): known for known in table.columns}
    if column not in named:
        raise ConfigError(f"The table has no column '{column}'.")
    key = named[column]
    try:
        return table.sort_values(key, ascending=not falling, kind="stable")
    except TypeError:  # numbers and words in one column
        order = table[key].astype(str).sort_values(ascending=not falling, kind="stable").index
        return table.loc[order]


def _whole(asked: dict[str, str], name: str, default: int) -> int:
    text = asked.get(name, "") or str(default)
    if not text.isdecimal() or len(text) > 12:
        raise ConfigError(f"{name} must be a whole number from 0, got '{text}'.")
    return int(text)


def _says(column: pd.Series) -> str:
    """Return a few words on what a column holds."""
    known = column.dropna()
    if known.empty:
        return "empty"
    if known.dtype.kind in "iuf":
        return f"{known.min():.4g} to {known.max():.4g}, mean {known.mean():.4g}"
    return f"{known.astype(str).nunique()} different"


def _cell(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if value is None or isinstance(value, int | str | bool):
        return value
    if isinstance(value, float):
        return value if value == value else None
    return str(value)
