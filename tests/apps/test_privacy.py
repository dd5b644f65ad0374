"""Who was recorded, and by whom, reaches no file that the program writes and no terminal."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import edfio
import pandas as pd
import pytest

from tests import makers
from tests.apps.conftest import CSP, DECODE

SECRETS = ("Musterfrau", "Erika", "MRN-4711", "Dr_Quacksalber", "Geheimklinik")
BORN = "1964"  # beside the other parts of the date, which occur in many numbers
DATES = ("12-AUG-1964", "1964-08-12", "12.08.64")


def with_a_patient(path: Path) -> Path:
    """Plant name, number, birth date, technician and hospital in the header."""
    import datetime

    edf = edfio.read_edf(path)
    edf.patient = edfio.Patient(
        name="Musterfrau_Erika", code="MRN-4711", sex="F",
        birthdate=datetime.date(1964, 8, 12), additional=("Geheimklinik",),
    )  # fmt: skip
    edf.recording = edfio.Recording(
        investigator_technician_code="Dr_Quacksalber", hospital_administration_code="Geheimklinik"
    )
    edf.write(path)
    return path


def traces(content: bytes) -> list[str]:
    """Return the secrets in some bytes, in any case, in UTF-8 and both UTF-16."""
    lower = content.lower()
    return [
        secret
        for secret in (*SECRETS, *DATES)
        for coding in ("utf-8", "utf-16-le", "utf-16-be")
        if secret.lower().encode(coding) in lower
    ]


def readings(path: Path) -> list[bytes]:
    """Return a file as it is, and what a packed one holds."""
    raw = path.read_bytes()
    if path.suffix == ".parquet":
        table = pd.read_parquet(io.BytesIO(raw))
        return [raw, table.to_csv().encode(), repr(table.attrs).encode()]
    if path.suffix == ".png":
        return [raw, *_texts_of_png(raw)]
    return [raw]


def _texts_of_png(raw: bytes) -> list[bytes]:
    found, at = [], 8
    while at < len(raw):
        size, kind = int.from_bytes(raw[at : at + 4], "big"), raw[at + 4 : at + 8]
        body = raw[at + 8 : at + 8 + size]
        if kind == b"zTXt":
            found.append(zlib.decompress(body.split(b"\0", 1)[1][1:]))
        at += 12 + size
    return found


@pytest.fixture(scope="module")
def told(tmp_path_factory, drawn):
    """Run, predict, evaluate and explain on recordings of a patient; return folder and output."""
    import contextlib

    from neuroloom.apps.cli import main

    home = tmp_path_factory.mktemp("private")
    data = makers.write_runs(home / "data")
    for path in data.iterdir():
        with_a_patient(path)
    new = with_a_patient(makers.write(makers.recording(99), home / "new.edf"))
    (home / "all").mkdir()
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        for words in (
            [*DECODE, str(data), *CSP, "--out", str(home / "all/run")],
            ["predict", str(home / "all/run"), str(new)],
            ["evaluate", str(home / "all/run"), str(new)],
            ["explain", str(home / "all/run")],
        ):
            assert main(words) == 0, said.getvalue()
    return home, said.getvalue()


def test_the_patient_was_there(told):
    home, _ = told
    assert set(traces((home / "new.edf").read_bytes())) >= {"Musterfrau", "MRN-4711", DATES[0]}


def test_no_file_names_the_patient(told):
    home, _ = told
    files = [path for path in (home / "all").rglob("*") if path.is_file()]
    assert {".parquet", ".safetensors", ".fif", ".html", ".png"} <= {f.suffix for f in files}
    found = {
        str(path.relative_to(home)): hits
        for path in files
        for content in readings(path)
        if (hits := traces(content))
    }
    assert not found


def test_no_line_on_the_terminal_names_the_patient(told):
    assert traces(told[1].encode()) == []


def test_the_place_of_the_data_stands_in_the_recipe_only(told):
    home, _ = told
    place = str(home / "data").encode()
    holders = [
        path.name
        for path in (home / "all").rglob("*")
        if path.is_file() and any(place in content for content in readings(path))
    ]
    assert holders == ["recipe.yaml"]


def test_a_damaged_header_does_not_quote_the_patient(refused, tmp_path):
    data = makers.write_runs(tmp_path / "d", runs=2)
    whole = with_a_patient(data / "sub-1_run-2_eeg.edf").read_bytes()
    for spoilt in (whole[:200], whole[:600], whole[:236] + b"patient?" + whole[244:]):
        (data / "sub-1_run-2_eeg.edf").write_bytes(spoilt)
        said = refused(*DECODE, data, *CSP, "--out", tmp_path / "out", says="sub-1_run-2_eeg.edf")
        assert traces(said.encode()) == []


def test_a_column_that_nobody_asked_for_is_left_in_participants_tsv(neuroloom, tmp_path):
    root = tmp_path / "bids"
    for k in (1, 2):
        name = f"sub-{k}/eeg/sub-{k}_task-motor_eeg.edf"
        makers.write(makers.recording(k), root / name)
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.8.0"}')
    rows = "participant_id\tname\tage\nsub-1\tMusterfrau\t40\nsub-2\tErika\t50\n"
    (root / "participants.tsv").write_text(rows)
    answer = neuroloom(*DECODE, root, "--model", "csp-lda", "--stop", 1, "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not [f for f in files for content in readings(f) if traces(content)]
    assert traces((answer.out + answer.err).encode()) == []
