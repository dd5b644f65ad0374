"""DICOM Segmentation objects on the grid of a series, through highdicom.

Source: DICOM PS3.3 A.51. The study and the frame of reference are those of the source, so that a
viewer lays the segments over it; who the patient is, is left empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_atomic
from neuroloom.io.images.dicom import _read, planes

# What a SEG would copy from its source and says who somebody is, or when and where they came.
_PERSONAL = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientWeight",
    "PatientSize", "OtherPatientIDs", "OtherPatientNames", "OtherPatientIDsSequence",
    "PatientAddress", "PatientComments", "IssuerOfPatientID", "EthnicGroup", "Occupation",
    "AdditionalPatientHistory", "AccessionNumber", "ReferringPhysicianName", "StudyID",
    "StudyDate", "StudyTime", "StudyDescription", "SeriesDescription", "InstitutionName",
    "InstitutionAddress", "PerformingPhysicianName", "OperatorsName", "RequestingPhysician",
    "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID", "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy",
)  # fmt: skip
_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber",
    "ReferringPhysicianName", "StudyID", "StudyDate", "StudyTime",
)  # fmt: skip


def write_seg(
    path: Path | str, label: np.ndarray, source: Path | str, classes: Mapping[int, str]
) -> Path:
    """Write a label as a DICOM Segmentation over the series that it was made from.

    Parameters
    ----------
    path
        A new .dcm file.
    label
        Class numbers, shape (z, y, x), on the grid that `read_image(source)` gives.
    source
        The folder with the series, or its one multi-frame file.
    classes
        Number to name; a class that is not drawn is declared all the same.

    Raises
    ------
    DataError
        If the label is on another grid, holds other numbers, or is empty.

    Examples
    --------
    >>> write_seg("seg.dcm", label, "series/", {1: "tumour"})  # doctest: +SKIP
    """
    path, stack = Path(path), planes(Path(source))
    files = list(dict.fromkeys(plane.file for plane in stack))
    sources = [_nobody(file) for file in files]
    shape = (len(stack), int(sources[0].Rows), int(sources[0].Columns))
    if np.shape(label) != shape:
        raise DataError(f"{path.name}: the series is {shape}, the label {np.shape(label)}.")
    strange = sorted(set(np.unique(label).tolist()) - {0, *classes})
    if strange or not np.any(label):
        what = f"holds {strange}, declared are {sorted(classes)}" if strange else "is empty"
        raise DataError(f"{path.name}: the label {what}; a segmentation needs declared segments.")
    numbers = np.zeros(shape, np.uint8 if len(classes) < 256 else np.uint16)
    for position, number in enumerate(sorted(classes), start=1):
        numbers[np.asarray(label) == number] = position
    names = [classes[number] for number in sorted(classes)]
    made = _segmentation(sources, _frame_order(numbers, stack), names)
    return write_atomic(path, lambda partial: made.save_as(partial))


def _frame_order(numbers: np.ndarray, stack: list[Any]) -> np.ndarray:
    """Put slices into the order of the frames of their file, if they are frames."""
    if stack[0].frame < 0:
        return numbers
    order = np.argsort([plane.frame for plane in stack])
    return numbers[order]


def _nobody(file: Path) -> Any:
    """Read a source with every tag about a person empty or gone."""
    import pydicom

    header = _read(file, lambda: pydicom.dcmread(file))
    for name in _PERSONAL:
        if name in header:
            del header[name]
    for name in _EMPTY:
        setattr(header, name, "")
    return header


def _segmentation(sources: list[Any], numbers: np.ndarray, names: list[str]) -> Any:
    import highdicom
    from highdicom.sr.coding import CodedConcept
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    from neuroloom import __version__

    family = CodedConcept("123110", "DCM", "Artificial Intelligence")
    algorithm = highdicom.AlgorithmIdentificationSequence("neuroloom", family, __version__)
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=name[:64],
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Tissue,
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        for number, name in enumerate(names, start=1)
    ]
    return highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=numbers,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=generate_uid(),
        series_number=9000,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="neuroloom",
        manufacturer_model_name="neuroloom",
        software_versions=__version__,
        device_serial_number="0",
        content_label="SEGMENTATION",
    )
