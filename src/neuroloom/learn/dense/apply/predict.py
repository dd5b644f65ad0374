"""Label new images with a finished run, each on its own grid."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.audit import Finding, keep_findings
from neuroloom.core.dataset import Dataset, named_apart
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import write_atomic, write_json
from neuroloom.io.images.dicom_seg import write_seg
from neuroloom.learn.dense.apply.picture import write_picture
from neuroloom.learn.dense.figures import shades_of
from neuroloom.learn.dense.held_out import decode, kept, volumes_of
from neuroloom.learn.dense.measures.doubt import entropy
from neuroloom.learn.dense.measures.flags import flag_of
from neuroloom.learn.parts import PARTS, Parts, about, check_out_or_go_on

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.io.cases import Case
    from neuroloom.learn.dense.study import DenseStudy
    from neuroloom.learn.store import Ensemble

LABEL_SUFFIXES = (
    ".nii.gz", ".nii", ".mgz", ".mgh", ".nrrd", ".nhdr", ".mha", ".mhd", ".tif", ".tiff",
    ".ome.tif", ".ome.tiff", ".png", ".h5", ".hdf5", ".zarr", ".ome.zarr",
)  # fmt: skip


def predict(
    study: DenseStudy,
    run: Run,
    inputs: list[Path],
    out: Path | str | None = None,
    include: list[str] | None = None,
) -> pd.DataFrame:
    """Label the cases of `inputs`; see `DenseStudy.predict`."""
    import pandas as pd

    if not inputs:
        raise ConfigError("predict needs an image, or a folder of images.")
    folder = None if out is None else Path(out)
    if folder is not None:
        check_out_or_go_on(folder, PARTS)
    ensemble = study.load_model(run)
    datasets = [
        study.read_like(ensemble.facts, path, include or [], labelled=False) for path in inputs
    ]
    files = [case.images[0] for dataset in datasets for case in dataset.extra["found"].cases]
    datasets = named_apart(datasets, files)
    findings = [one for dataset in datasets for one in dataset.findings]
    parts = Parts(folder, about(run, datasets))
    keep_findings(findings, folder)
    rows: list[dict[str, Any]] = []
    every = [(dataset, row) for dataset in datasets for row in range(len(dataset))]
    told = run.telling("labelling images")
    for number, (dataset, row) in enumerate(every):
        told(number, len(every))
        said, noticed = parts.of(number, partial(_one, study, ensemble, dataset, row, folder))
        rows += said
        findings += [Finding(**one) for one in noticed]
    table = pd.DataFrame(rows).astype({"flag": "boolean"})
    table.attrs["findings"] = keep_findings(findings, folder)
    if folder is not None:
        write_atomic(folder / "predictions.parquet", lambda p: table.to_parquet(p, index=False))
        write_atomic(folder / "predictions.csv", lambda p: table.to_csv(p, index=False))
        write_json(folder / "status.json", {"state": "done", "recipe": study.name})
    parts.close()
    return table


def _one(
    study: DenseStudy,
    ensemble: Ensemble,
    dataset: Dataset,
    row: int,
    folder: Path | None,
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Label one case, write it, and return its rows, one a class, and what could not be written."""
    p, sure = next(iter(study.scores_of(ensemble, dataset.take(np.array([row])))))
    name = str(dataset.table["name"].iloc[row])
    facts, case = dataset.facts, dataset.x[row]
    label = kept(decode(p, facts), facts["parts"], ensemble.facts["largest"])
    h = entropy(p, regions=bool(facts["regions"]))
    _, unit = study.measured_in(dataset, row)
    volumes = volumes_of(label, study.voxel_in(dataset, row), facts["parts"])
    drawn, more = study.deliver(dataset, row, p, label, folder)
    noticed: list[Finding] = []
    if folder is not None:
        write_label(folder, name, case, drawn, h)
        if is_dicom(case):
            noticed = write_segments(folder, name, case, label, facts["classes_of"])
        shades = shades_of(facts["parts"], facts.get("painted", ()))
        sight = folder / f"{name}_picture.png"
        write_picture(sight, case.image()[0], label, case.spacing, shades)
    head = {"name": name, "path": dataset.table["path"].iloc[row]}
    tail = {"unit": unit, "doubt": sure} | flag_of(ensemble.facts, sure, volumes)
    tail |= {"file": f"{name}{label_suffix(case)}"}
    rows = [head | {"class": k, "volume": v} | tail | more for k, v in volumes.items()]
    return rows, [one.as_dict() for one in noticed]


def write_segments(
    folder: Path, name: str, case: Case, label: np.ndarray, classes: Mapping[str, str]
) -> list[Finding]:
    """Write the label of a DICOM series as a DICOM Segmentation too; say it where that fails.

    Parameters
    ----------
    classes
        Number to name, 0 for what is none.
    """
    drawn = {int(number): title for number, title in classes.items() if int(number)}
    path = folder / f"{name}_seg.dcm"
    try:
        write_seg(path, case.in_file_order(label), case.images[0], drawn)
    except DataError as error:
        return [Finding("warning", "A DICOM Segmentation is missing", str(error))]
    return []


def is_dicom(case: Case) -> bool:
    """Return whether a case is a DICOM series, to which a DICOM Segmentation can belong."""
    from neuroloom.io.images import image_suffix, split_address
    from neuroloom.io.images.dicom import holds_dicom

    place, _ = split_address(case.images[0])
    named = holds_dicom(place) if place.is_dir() else image_suffix(place) == ".dcm"
    return named and case.header.kind == "volume"


def label_suffix(case: Case) -> str:
    """Return the format of a case's label: that of its image where labels can be written so.

    It is in small letters; else `.nii.gz` for a volume and `.png` for an image.
    """
    from neuroloom.io.images import image_suffix

    suffix = image_suffix(case.images[0]).lower()
    if suffix in LABEL_SUFFIXES:
        return suffix
    return ".nii.gz" if len(case.shape) == 3 else ".png"


def write_held_out(folder: Path, name: str, case: Any, label: np.ndarray) -> str:
    """Write the label of a held-out case on the grid of its file, and return the file's name.

    A strip of an image is put where it was cut out; the rest is 0.
    """
    from neuroloom.io.images import write_image

    whole = getattr(case, "uncut", case)
    if whole is not case:
        full = np.zeros(whole.shape, label.dtype)
        full[case.window] = label
        label = full
    file = f"{name}{label_suffix(whole)}"
    write_image(folder / file, whole.in_file_order(label), like=whole.recording())
    return file


def write_label(folder: Path, name: str, case: Case, label: np.ndarray, h: np.ndarray) -> None:
    """Write the label on the grid of the case, and the uncertainty beside it."""
    from neuroloom.io.images import write_image

    like, suffix = case.recording(), label_suffix(case)
    write_image(folder / f"{name}{suffix}", case.in_file_order(label), like=like)
    other = suffix if suffix != ".png" else ".tif"
    unsure = case.in_file_order(h.astype(np.float32))
    write_image(folder / f"{name}_uncertainty{other}", unsure, like=like)
