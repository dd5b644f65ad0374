"""DICOM Segmentation objects on the grid of a series, through highdicom.

Source: DICOM PS3.3 A.51. The study and the frame of reference are those of the source, so that a
viewer lays the segments over it. Nothing else is taken from the source: patient, visit, staff,
hospital, dates and every free text stay there, also where a tag is new or a maker's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_atomic
from neuroloom.io.images.dicom import Plane, _read, planes

# All that is read of a source: which image it is, and where its slices lie.
_KEPT = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID",
    "NumberOfFrames", "Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient",
    "PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "PlanePositionSequence", "PlaneOrientationSequence",
    "PixelMeasuresSequence", "LossyImageCompression", "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)  # fmt: skip
# What the standard wants to be there, if empty.
_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber",
    "ReferringPhysicianName", "StudyID", "StudyDate", "StudyTime",
)  # fmt: skip
_UTF8 = "ISO_IR 192"


def write_seg(
    path: Path | str, label: np.ndarray, source: Path | str, classes: Mapping[int, str]
) -> Path:
    """Write a label as a DICOM Segmentation over the series that it was made from.

    Slices without a segment are left out; of an empty label there is one, of each segment.

    Parameters
    ----------
    path
        A new .dcm file.
    label
        Class numbers, shape (z, y, x), on the grid that `read_image(source)` gives.
    source
        The folder with the series (`folder::3`: its number 3), or its one multi-frame file.
    classes
        Number to name; a class that is not drawn is declared all the same.

    Raises
    ------
    DataError
        If the label is on another grid, or holds other numbers; or if the series lacks what a
        segmentation says of its source.

    Examples
    --------
    >>> write_seg("seg.dcm", label, "series/", {1: "tumour"})  # doctest: +SKIP
    """
    path, stack = Path(path), planes(Path(source))
    sources = _sources(path, stack)
    shape = (len(stack), int(sources[0].Rows), int(sources[0].Columns))
    if np.shape(label) != shape:
        raise DataError(f"{path.name}: the series is {shape}, the label {np.shape(label)}.")
    if strange := sorted(set(np.unique(label).tolist()) - {0, *classes}):
        raise DataError(
            f"{path.name}: the label holds {strange}, declared are {sorted(classes)}; a "
            "segmentation needs declared segments."
        )
    numbers = np.zeros(shape, np.uint8 if len(classes) < 256 else np.uint16)
    for position, number in enumerate(sorted(classes), start=1):
        numbers[np.asarray(label) == number] = position
    names = [classes[number] for number in sorted(classes)]
    frames = _frames(numbers, stack)
    made = _allowed(path, lambda: _segmentation(sources, *frames, names))
    return write_atomic(path, made.save_as)


def _allowed(path: Path, work: Callable[[], Any]) -> Any:
    """Call what works on headers; what it says of them may quote tags and is not passed on."""
    try:
        return work()
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise DataError(
            f"{path.name}: the headers of the series lack, or say otherwise, what a DICOM "
            f"Segmentation needs of them ({type(error).__name__}); the label itself is not "
            "concerned. Export the series again, or convert the label with a tool of your viewer."
        ) from None


def _sources(path: Path, stack: list[Plane]) -> list[Any]:
    """Return the headers of a stack, in its order, as a segmentation can be laid over them."""
    files = dict.fromkeys(plane.file for plane in stack)
    found = [_allowed(path, partial(_nobody, file)) for file in files]
    _allowed(path, lambda: _share(found))
    return found


def _share(sources: list[Any]) -> None:
    """Say once how slices are turned and how large their pixels are: as the first of them has it.

    Some scanners say it with each frame, and the last digits may differ from slice to slice; a
    segmentation has it once.
    """
    from pydicom.dataset import Dataset

    first = sources[0]
    for other in sources[1:]:
        other.ImageOrientationPatient = first.ImageOrientationPatient
    if "PerFrameFunctionalGroupsSequence" not in first:
        return
    if "SharedFunctionalGroupsSequence" not in first:
        first.SharedFunctionalGroupsSequence = [Dataset()]
    shared = first.SharedFunctionalGroupsSequence[0]
    for name in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        if name not in shared:
            setattr(shared, name, first.PerFrameFunctionalGroupsSequence[0][name].value)


def _frames(numbers: np.ndarray, stack: list[Plane]) -> tuple[np.ndarray, list[Plane] | None]:
    """Return slices in the order of the sources, and their planes where these are not all of them.

    Of an empty label that is the first slice: a segmentation has a frame at least.
    """
    if not numbers.any():
        return numbers[:1], stack[:1]
    if stack[0].frame < 0:
        return numbers, None
    return numbers[np.argsort([plane.frame for plane in stack])], None


def _nobody(file: Path) -> Any:
    """Read of a source what `_KEPT` names, with empty tags for who was scanned and when.

    A frame of reference and a thickness, which old scans lack, are a new one and an empty one.
    """
    import pydicom
    from pydicom.uid import generate_uid

    read = partial(pydicom.dcmread, file, stop_before_pixels=True, specific_tags=[*_KEPT])
    header = _kept(_read(file, read))
    for name in _EMPTY:
        setattr(header, name, "")
    own = generate_uid(entropy_srcs=[header.SeriesInstanceUID])
    header.setdefault("FrameOfReferenceUID", own)
    header.setdefault("SliceThickness", None)
    return header


def _kept(part: Any) -> Any:
    """Return a header, or an item of a sequence in it, with nothing but what `_KEPT` names."""
    from pydicom.dataset import Dataset

    found = Dataset()
    for name in _KEPT:
        if name not in part:
            continue
        value = part.data_element(name).value
        is_sequence = name.endswith("Sequence")
        setattr(found, name, [_kept(item) for item in value] if is_sequence else value)
    return found


def _segmentation(
    sources: list[Any], numbers: np.ndarray, places: list[Plane] | None, names: list[str]
) -> Any:
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
    positions = [highdicom.PlanePositionSequence("PATIENT", one.position) for one in places or ()]
    return highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=numbers,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        plane_positions=positions or None,
        omit_empty_frames=places is None,
        specific_character_set=_UTF8,
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
