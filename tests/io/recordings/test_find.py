"""Finding recordings: folders, patterns, layouts, BIDS, manifests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from neuroloom import io
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.io import bids
from neuroloom.io.recordings.find import compile_pattern, find


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def test_eegmmidb_layout_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "S001/S001R06.edf", "S001/S001R06.edf.event", "S002/S002R10.edf.gz")
    found = find(tmp_path)
    assert found.table[["path", "subject", "session", "run"]].values.tolist() == [
        ["S001/S001R06.edf", "S001", "1", "06"],
        ["S002/S002R10.edf.gz", "S002", "1", "10"],
    ]
    assert "eegmmidb" in found.layout
    assert found.root == tmp_path


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["A01T.gdf", "A01E.gdf"], [["A01", "E", "1"], ["A01", "T", "1"]]),
        (["B0101T.gdf"], [["B01", "01T", "1"]]),
        (["sub-01_run-2.edf", "sub-02_ses-b_task-x_run-1_eeg.edf"],
         [["01", "1", "2"], ["02", "b", "1"]]),
        (["N170_subject1_session2_data_2017-09-13-15.30.01.edf"],
         [["1", "2", "2017-09-13-15.30.01"]]),
    ],
)  # fmt: skip
def test_layouts(tmp_path: Path, names: list[str], expected: list[list[str]]) -> None:
    found = find(touch(tmp_path, *names))
    assert found.table[["subject", "session", "run"]].values.tolist() == expected
    assert "one subject" not in found.layout


def test_unknown_layout_is_one_subject(tmp_path: Path) -> None:
    found = find(touch(tmp_path, "monday.edf", "tuesday.edf"))
    assert found.table["subject"].unique().tolist() == ["1"]
    assert found.table["run"].tolist() == ["monday", "tuesday"]
    assert "runs of one subject" in found.layout


def test_same_names_in_folders_are_different_runs(tmp_path: Path) -> None:
    found = find(touch(tmp_path, "a/eeg.edf", "b/eeg.edf"))
    assert found.table["run"].tolist() == ["1", "2"]


def test_include_matches_names_or_relative_paths(tmp_path: Path) -> None:
    touch(tmp_path, "x/S001R06.edf", "x/S001R10.edf", "y/S002R06.edf")
    assert len(find(tmp_path, ["S001*"]).table) == 2
    assert find(tmp_path, ["y/*"]).table["path"].tolist() == ["y/S002R06.edf"]
    assert len(find(tmp_path, ["*R06*", "*R10*"]).table) == 3
    with pytest.raises(DataError, match=r"no file matches include S009\*.*S001R06\.edf"):
        find(tmp_path, ["S009*"])


def test_pattern_gives_keys(tmp_path: Path) -> None:
    touch(tmp_path, "p7_rest_1.edf", "p8_task_2.edf.gz")
    for pattern in ("{subject}_{state}_{run}.edf", "{subject}_{state}_{run}"):
        table = find(tmp_path, pattern=pattern).table
        assert table["state"].tolist() == ["rest", "task"]
        assert table["subject"].tolist() == ["p7", "p8"]
        assert table["run"].tolist() == ["1", "2"]
    with pytest.raises(ConfigError, match=r"matches no file; one that it misses is 'p7_rest"):
        find(tmp_path, pattern="{subject}R{run}.edf")
    with pytest.raises(ConfigError, match="expected keys in braces"):
        find(tmp_path, pattern="S*.edf")


def test_pattern_over_folders() -> None:
    regex = compile_pattern("{subject}/day{session}/*_{run}.edf")
    match = regex.fullmatch("p1/day2/eeg_03.edf")
    assert match is not None
    assert match.groupdict() == {"subject": "p1", "session": "2", "run": "03"}


def test_partners_parts_and_leftovers_count_once(tmp_path: Path) -> None:
    touch(
        tmp_path, "a.vhdr", "a.eeg", "a.vmrk", "b.set", "b.fdt", "c_raw.fif", "c_raw-1.fif",
        "d_split-01_meg.fif", "d_split-02_meg.fif", "c-epo.fif", ".cache/x.edf",
        "derivatives/y.edf", "run1/recipe.yaml", "run1/status.json", "run1/artifacts/z.fif",
    )  # fmt: skip
    (tmp_path / "zero.edf").touch()
    found = find(tmp_path)
    assert found.table["path"].tolist() == ["a.vhdr", "b.set", "c_raw.fif", "d_split-01_meg.fif"]
    assert "zero.edf" in found.notes[0]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"folder is empty.*Readable are .*\.edf"):
        find(tmp_path)
    touch(tmp_path, "scan.nii")
    with pytest.raises(DataError, match=r"no recording among its 1 files \(scan\.nii\)"):
        find(tmp_path)
    with pytest.raises(DataError, match=r"no reader for '\.nii'"):
        find(tmp_path / "scan.nii")
    with pytest.raises(DataError, match=r"Did you mean 'scan\.nii'"):
        find(tmp_path / "scam.nii")
    (tmp_path / "zero.edf").touch()
    with pytest.raises(DataError, match="only empty files or links"):
        find(tmp_path)


def test_one_file(tmp_path: Path) -> None:
    touch(tmp_path, "S001R06.edf", "S001R10.edf")
    found = find(tmp_path / "S001R06.edf")
    assert found.table["path"].tolist() == ["S001R06.edf"]
    assert found.root == tmp_path


def test_manifest_keeps_columns_and_their_types(tmp_path: Path) -> None:
    touch(tmp_path, "d/a.edf", "d/b.edf")
    (tmp_path / "m.csv").write_text("path,subject,age,group\nd/a.edf,01,31.5,x\nd/b.edf,02,40,y\n")
    table = find(tmp_path / "m.csv").table
    assert table["subject"].tolist() == ["01", "02"]
    assert table["age"].dtype == float
    assert table["group"].tolist() == ["x", "y"]
    assert table["run"].tolist() == ["1", "1"]
    assert len(find(tmp_path / "m.csv", ["b*"]).table) == 1


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("file,subject\na.edf,1\n", r"needs a column 'path'.*file, subject"),
        ("path\na.edf\nc.edf\n", r"row 3: there is no file 'c\.edf'"),
        ("path,x\n,1\n", r"row 2: the path is empty"),
        ("path\nnotes.md\n", r"no reader for 'notes\.md'"),
        ("", r"cannot be read as a table"),
    ],
)
def test_bad_manifests(tmp_path: Path, text: str, match: str) -> None:
    touch(tmp_path, "a.edf", "notes.md")
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(DataError, match=match):
        find(tmp_path / "m.csv")


def test_entities_agree_with_mne_bids() -> None:
    from mne_bids import get_entities_from_fname

    name = "sub-01_ses-A2_task-motor_acq-hi_run-02_split-01_desc-x_eeg.edf"
    theirs = {key: value for key, value in get_entities_from_fname(name).items() if value}
    assert bids.entities(name) == theirs | {"suffix": "eeg"} | {} if "suffix" in theirs else theirs


def test_bids_folder(tmp_path: Path, make_edf: Callable) -> None:
    stem = "sub-01/ses-a/eeg/sub-01_ses-a_task-mi_run-01"
    make_edf(tmp_path / f"{stem}_eeg.edf")
    (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.8.0"}')
    (tmp_path / "participants.tsv").write_text("participant_id\tage\thand\nsub-01\t33\tn/a\n")
    (tmp_path / f"{stem}_events.tsv").write_text(
        "onset\tduration\ttrial_type\tvalue\n2.5\t1\tfists\t1\n1.0\tn/a\tfeet\t2\n3.0\t0\tn/a\t3\n"
    )
    found = find(tmp_path)
    row = found.table.iloc[0]
    assert (row.subject, row.session, row.run, row.task, row.age) == ("01", "a", "01", "mi", 33)
    assert found.layout.startswith("BIDS")
    for events in (
        io.peek(found.root / row.path).annotations,
        io.read(found.root / row.path).attrs["annotations"],
    ):
        assert events.values.tolist() == [[1.0, 0.0, "feet"], [2.5, 1.0, "fists"]]
    part = io.read(found.root / row.path, 2.0, 4.0)
    assert part.attrs["annotations"].values.tolist() == [[0.5, 1.0, "fists"]]


def test_part_of_a_bids_folder_and_strays(tmp_path: Path) -> None:
    touch(
        tmp_path, "sub-01/eeg/sub-01_task-mi_eeg.edf", "sub-02/eeg/sub-02_task-mi_eeg.edf", "x.edf"
    )
    (tmp_path / "dataset_description.json").write_text("{}")
    (tmp_path / "participants.tsv").write_text("participant_id\tgroup\nsub-01\ta\n")
    found = find(tmp_path / "sub-01")
    assert found.table[["task", "group"]].values.tolist() == [["mi", "a"]]
    assert len(find(tmp_path).table) == 2
    assert "x.edf" in find(tmp_path).notes[0]


def test_links(tmp_path: Path) -> None:
    touch(tmp_path, "d/a.edf")
    (tmp_path / "d" / "up").symlink_to(tmp_path)
    (tmp_path / "d" / "gone.edf").symlink_to(tmp_path / "nowhere.edf")
    found = find(tmp_path)
    assert found.table["path"].tolist() == ["d/a.edf"]
    assert "gone.edf" in found.notes[0]


def test_manifest_takes_missing_keys_from_the_layout(tmp_path: Path) -> None:
    touch(tmp_path, "S001R06.edf", "S002R10.edf")
    (tmp_path / "m.tsv").write_text("path\tsession\nS001R06.edf\tmay\nS002R10.edf\tjune\n")
    found = find(tmp_path / "m.tsv")
    assert found.table.iloc[:, 1:4].values.tolist() == [
        ["S001", "may", "06"],
        ["S002", "june", "10"],
    ]
    assert "eegmmidb" in found.layout


def test_bad_events_table_names_its_row(tmp_path: Path, make_edf: Callable) -> None:
    make_edf(tmp_path / "sub-01_task-x_eeg.edf")
    events = tmp_path / "sub-01_task-x_events.tsv"
    events.write_text("onset\tduration\ttrial_type\n1\t1\ta\nsoon\t1\tb\n")
    with pytest.raises(DataError, match=r"events\.tsv: row 3.*'soon'"):
        io.read(tmp_path / "sub-01_task-x_eeg.edf")
    events.write_text("time\tlabel\n1\ta\n")
    with pytest.raises(DataError, match=r"expected the columns onset"):
        io.read(tmp_path / "sub-01_task-x_eeg.edf")


def test_real_folder(test_data: Path) -> None:
    found = find(test_data / "eeg/eegmmidb", ["S001R06*", "S001R10*", "S001R14*"])
    assert found.table["run"].tolist() == ["06", "10", "14"]


def test_labels_of_trials_are_no_recording_where_one_json_speaks_for_the_folder(
    tmp_path: Path,
) -> None:
    for name in ("training", "test"):
        (tmp_path / f"{name}_set.csv").write_text("1,2,3,4\n5,6,7,8\n")
        (tmp_path / f"{name}_label.csv").write_text("0\n1\n")
    facts = '{"SamplingFrequency": 2, "ChannelNames": ["C3", "C4"]}'
    (tmp_path / "eeg.json").write_text(facts)
    assert find(tmp_path).table["path"].tolist() == ["test_set.csv", "training_set.csv"]
