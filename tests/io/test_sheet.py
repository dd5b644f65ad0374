"""Tables as spreadsheets write them."""

from pathlib import Path

import pytest

from neuroloom.core.errors import DataError
from neuroloom.io.sheet import numbers_or_words, read_sheet

WRITTEN = {
    "Excel in Germany": "id;größe\r\n007;1,5\r\n".encode("cp1252"),
    "Excel's Unicode text": "id\tgröße\n007\t1,5\n".encode("utf-16"),
    "UTF-8 with a mark": "id,größe\n007,1.5\n".encode("utf-8-sig"),
    "rows with names": "id,größe\na,007,1.5\n".encode(),
    "rows that end with a comma": "id,größe\n007,1.5,\n".encode(),
    "a column without a name": ",id,größe,\n0,007,1.5,\n".encode(),
}


@pytest.mark.parametrize("way", WRITTEN)
def test_a_table_is_the_same_however_it_is_written(way, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(WRITTEN[way])
    assert read_sheet(file).to_dict("records") == [{"id": "007", "größe": "1.5"}]


@pytest.mark.parametrize(
    ("text", "says"), [(b"", "it is empty"), (b"a\n\0", "no text"), (b"a,b\n1,2\n1,2,3\n", "row 3")]
)
def test_what_is_no_table_is_refused(text, says, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(text)
    with pytest.raises(DataError, match=f"a.csv: cannot be read as a table: .*{says}"):
        read_sheet(file)


def test_commas_that_may_be_thousands_are_left(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a;b\n1,234;x,y\n2,345;z\n")
    table = read_sheet(file)
    assert table["a"].tolist() == ["1,234", "2,345"]
    assert numbers_or_words(table["b"]) == ["x,y", "z"]
