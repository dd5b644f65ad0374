"""Small images and volumes with known truth, for the tests of grids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroloom.core.recording import image, volume
from neuroloom.io.images import read_image, to_array, write_image


def blob(seed: int, shape: tuple[int, ...] = (12, 14, 12)) -> tuple[np.ndarray, np.ndarray]:
    """A bright ball of its own radius in noise, and where it is; axes (z, y, x) or (y, x)."""
    rng = np.random.default_rng(seed)
    centre = [size / 2 - 0.5 + rng.uniform(-1, 1) for size in shape]
    radius = rng.uniform(0.18, 0.4) * min(shape)
    axes = np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")
    far = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)))
    mask = far <= radius
    return (100 * mask + rng.normal(0, 15, shape)).astype(np.float32), mask


def write_blobs(folder: Path, cases: int = 12, spacing: float = 1.0) -> Path:
    """Write images/ and labels/ of balls as NIfTI, and `ages.csv`, in which age grows with size."""
    affine = np.diag([spacing, spacing, spacing, 1.0])
    rows = []
    for half in ("images", "labels"):
        (folder / half).mkdir(parents=True, exist_ok=True)
    for case in range(cases):
        content, mask = blob(case)
        name = f"case_{case:02d}.nii.gz"
        write_image(folder / "images" / name, volume(content.T, affine))
        write_image(folder / "labels" / name, volume(mask.T.astype(np.uint8), affine))
        rows.append({"image": f"images/{name}", "subject": f"s{case}", "age": int(mask.sum()) / 10})
    pd.DataFrame(rows).to_csv(folder / "ages.csv", index=False)
    return folder


def write_slices(folder: Path, subjects: int = 8, slices: int = 2) -> Path:
    """Write pictures of discs and rings into class folders, several of each subject, as PNG."""
    for subject in range(subjects):
        kind = ("disc", "ring")[subject % 2]
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(slices):
            content = image(ring(subject, number, kind))
            write_image(folder / kind / f"s{subject}_{number}.png", content)
    return folder


def ring(subject: int, number: int, kind: str, size: int = 20) -> np.ndarray:
    """A disc, or one with a hole, in noise, (y, x) uint8."""
    rng = np.random.default_rng([subject, number])
    y, x = np.mgrid[:size, :size] - (size / 2 - 0.5 + rng.uniform(-1, 1, 2))[:, None, None]
    far = np.hypot(y, x)
    mask = (far < 7) & ((far > 3.5) | (kind == "disc"))
    return np.clip(140 * mask + 60 + rng.normal(0, 12, mask.shape), 0, 255).astype(np.uint8)


# Turned a little round z and unequal in size: nothing about it is special.
OBLIQUE = np.array(
    [
        [0.8 * np.cos(0.2), -1.1 * np.sin(0.2), 0.0, -12.5],
        [0.8 * np.sin(0.2), 1.1 * np.cos(0.2), 0.0, 31.25],
        [0.0, 0.0, 2.5, 7.125],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
PATIENT = "Mustermann^Erika"
BORN = "19640812"


def phantom(seed: int = 0, shape: tuple[int, int, int] = (9, 11, 7)) -> Any:
    """A volume of whole numbers on an oblique grid; `shape` is (x, y, z)."""
    rng = np.random.default_rng(seed)
    return volume(rng.integers(-900, 1200, shape).astype(np.int16), OBLIQUE.astype(np.float32))


def two_balls(seed: int = 0, shape: tuple[int, int, int] = (14, 12, 10)) -> np.ndarray:
    """A label, (x, y, z): a big ball 1 and a small ball 2 more to the right."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")
    label = np.zeros(shape, np.uint8)
    for number, (place, radius) in enumerate([(0.3, 0.22), (0.7, 0.14)], start=1):
        centre = np.array(shape) * [place, 0.5, 0.5] + rng.uniform(-0.4, 0.4, 3)
        far = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)))
        label[far < radius * min(shape) * 1.3] = number
    return label


def write_case(image_path: Path, label_path: Path | None, seed: int, channels: int = 1) -> None:
    """Write a volume of noise with two balls in it, and the label of the balls."""
    rng = np.random.default_rng(seed)
    label = two_balls(seed)
    content = rng.normal(0, 5, (channels, *label.shape)) + 40 * label
    write_image(image_path, volume(content.astype(np.float32), OBLIQUE.astype(np.float32)))
    if label_path is not None:
        write_image(label_path, volume(label, OBLIQUE.astype(np.float32)))


def write_nnunet(folder: Path, cases: int = 3, labels: dict[str, Any] | None = None) -> Path:
    """Write an nnU-Net v2 raw folder with two channels; the last case has no label."""
    for case in range(cases):
        seg = folder / "labelsTr" / f"toy_{case:03d}.nii.gz" if case < cases - 1 else None
        for channel in range(2):
            path = folder / "imagesTr" / f"toy_{case:03d}_{channel:04d}.nii.gz"
            write_case(path, seg, 10 * case + channel)
    facts = {
        "channel_names": {"0": "T1", "1": "T2"},
        "labels": labels or {"background": 0, "big": 1, "small": 2},
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(facts))
    return folder


def write_msd(folder: Path, cases: int = 3) -> Path:
    """Write a Decathlon folder with two modalities in 4-D files, and what macOS leaves behind."""
    listing = []
    for case in range(cases):
        name = f"toy_{case:03d}.nii.gz"
        write_case(folder / "imagesTr" / name, folder / "labelsTr" / name, case, channels=2)
        (folder / "imagesTr" / f"._{name}").write_bytes(b"Mac OS X")
        listing.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    listing.append({"image": f"./imagesTr/._{name}", "label": f"./labelsTr/._{name}"})
    facts = {
        "modality": {"0": "FLAIR", "1": "T1w"},
        "labels": {"0": "background", "1": "big", "2": "small"},
        "training": listing,
        "test": ["./imagesTs/toy_900.nii.gz"],
    }
    (folder / "dataset.json").write_text(json.dumps(facts))
    return folder


def write_bids(folder: Path, false_size: bool = False) -> Path:
    """Write BIDS microscopy: two rats, three PNG images, two kinds of masks, pixel sizes."""
    rng = np.random.default_rng(0)
    (folder / "derivatives" / "labels").mkdir(parents=True, exist_ok=True)
    (folder / "dataset_description.json").write_text('{"Name": "toy", "BIDSVersion": "1.7.0"}')
    (folder / "participants.tsv").write_text(
        f"participant_id\tspecies\tfirst_name\nsub-a\trat\t{PATIENT}\nsub-b\tmouse\t{PATIENT}\n"
    )
    (folder / "samples.tsv").write_text(
        "sample_id\tparticipant_id\tsample_type\n"
        "sample-1\tsub-a\ttissue\nsample-2\tsub-a\ttissue\nsample-3\tsub-b\tcell\n"
    )
    sizes = {"1": ([0.1, 0.1], "um"), "2": ([100, 100], "nm"), "3": ([0.0001, 0.0001], "mm")}
    if false_size:
        sizes["2"] = ([100, 200], "nm")
    for subject, sample in (("a", "1"), ("a", "2"), ("b", "3")):
        stem, place = f"sub-{subject}_sample-{sample}_SEM", f"sub-{subject}/micr"
        picture = image(rng.integers(0, 255, (24, 30)).astype(np.uint8))
        write_image(folder / place / f"{stem}.png", picture)
        facts = {"PixelSize": sizes[sample][0], "PixelSizeUnits": sizes[sample][1]}
        (folder / place / f"{stem}.json").write_text(json.dumps(facts))
        for number, kind in enumerate(("axon", "myelin")):
            mask = np.zeros((24, 30), np.uint8)
            mask[4 + 8 * number : 10 + 8 * number, int(sample) : 15] = 255
            target = folder / "derivatives" / "labels" / place / f"{stem}_seg-{kind}-manual.png"
            write_image(target, image(mask))
    return folder


def write_contrasts(folder: Path, subjects: int = 4, lacking: tuple[str, ...] = ()) -> Path:
    """Write BIDS of one visit a subject: T1w, T2w (its negative) and one lesion mask.

    `lacking` names images that are left out, as "sub-1_T2w".
    """
    for subject in range(subjects):
        content, mask = blob(subject)
        place, stem = Path(f"sub-{subject}") / "anat", f"sub-{subject}"
        noise = np.random.default_rng([9, subject]).normal(0, 5, content.shape)
        drawn = {"T1w": content, "T2w": (300 - 2 * content + noise).astype(np.float32)}
        for contrast, voxels in drawn.items():
            if f"{stem}_{contrast}" not in lacking:
                path = folder / place / f"{stem}_{contrast}.nii.gz"
                write_image(path, volume(voxels.T, OBLIQUE.astype(np.float32)))
        label = folder / "derivatives/labels" / place / f"{stem}_label-lesion_mask.nii.gz"
        write_image(label, volume(mask.T.astype(np.uint8), OBLIQUE.astype(np.float32)))
    return folder


def write_dicom(
    folder: Path,
    voxels: np.ndarray,
    spacing: tuple[float, float, float] = (2.5, 0.7, 0.8),
    series: int = 1,
    slope: float = 1.0,
    intercept: float = -1024.0,
) -> Path:
    """Write (z, y, x) as a CT series, slice names in no order, a patient's name in every file."""
    from pydicom.uid import generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    frame = generate_uid(entropy_srcs=["frame"])
    study = generate_uid(entropy_srcs=["study"])
    shared = {
        "StudyInstanceUID": study,
        "SeriesInstanceUID": generate_uid(entropy_srcs=[f"series {series}"]),
        "FrameOfReferenceUID": frame,
        "SeriesNumber": series,
        "RescaleSlope": slope,
        "RescaleIntercept": intercept,
    }
    names = np.random.default_rng(series).permutation(len(voxels))
    for number, (pixels, name) in enumerate(zip(voxels, names, strict=True)):
        place = [-50.0, -40.0, 12.0 + spacing[0] * number]
        slice_ = dicom_slice(pixels, place, spacing, shared, number)
        slice_.save_as(folder / f"s{series}_{name:03d}.dcm", enforce_file_format=True)
    return folder


def dicom_slice(
    pixels: np.ndarray,
    place: list[float],
    spacing: tuple[float, float, float],
    shared: dict[str, Any],
    number: int,
) -> Any:
    """Return one CT slice with the tags of a hospital."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = CTImageStorage
    uid = generate_uid(entropy_srcs=[str(shared["SeriesNumber"]), str(number)])
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = uid
    tags = {
        **shared,
        "PatientName": PATIENT, "PatientID": "PID-4711", "PatientBirthDate": BORN,
        "PatientSex": "F", "OtherPatientNames": PATIENT, "ReferringPhysicianName": PATIENT,
        "InstitutionName": PATIENT, "SeriesDescription": f"Head {PATIENT}", "StudyID": "1",
        "AccessionNumber": "A-4711", "StudyDate": "20260101", "StudyTime": "101500",
        "PatientComments": f"{PATIENT} *{BORN}", "StudyDescription": f"of {PATIENT}",
        "Modality": "CT", "InstanceNumber": number + 1, "ImageType": ["ORIGINAL", "PRIMARY"],
        "ImagePositionPatient": place, "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": list(spacing[1:]), "SliceThickness": spacing[0],
        "Rows": pixels.shape[0], "Columns": pixels.shape[1], "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 12,
        "HighBit": 11, "PixelRepresentation": 0,
    }  # fmt: skip
    for name, value in tags.items():
        setattr(made, name, value)
    made.PixelData = np.ascontiguousarray(pixels, np.uint16).tobytes()
    return made


# Of the groups of DICOM's dictionary that speak of people, visits, staff and machines: what each
# kind of tag is filled with. Those that say what an image is are left alone.
_TELLING = dict.fromkeys(("PN", "LO", "SH", "LT", "ST", "UC", "UT"), PATIENT) | {
    "DA": BORN, "TM": "234711", "DT": f"{BORN}2347", "AS": "062Y", "UR": "http://x/Mustermann",
}  # fmt: skip
_GROUPS = (0x0008, 0x0010, 0x0012, 0x0018, 0x0032, 0x0038, 0x0040)


def identify(folder: Path) -> Path:
    """Write a person into every tag of a DICOM series that can hold one, into nested ones too."""
    import pydicom

    told = _telling()
    for file in folder.iterdir():
        header = pydicom.dcmread(file)
        header.update(told)
        header.private_block(0x0011, "MAKER", create=True).add_new(1, "LO", PATIENT)
        header.save_as(file)
    return folder


def _telling() -> Any:
    """Return a header of all texts, names and dates, and sequences whose items hold them again."""
    from pydicom.datadict import DicomDictionary
    from pydicom.dataset import Dataset

    tags = {tag: kind for tag, (kind, *_) in DicomDictionary.items() if tag >> 16 in _GROUPS}
    inner, made = Dataset(), Dataset()
    for tag, kind in tags.items():
        if kind in _TELLING:
            made.add_new(tag, kind, _TELLING[kind])
    for name in ("PatientName", "InstitutionName", "PersonTelephoneNumbers", "PatientBirthDate"):
        setattr(inner, name, BORN if "Date" in name else PATIENT)
    for tag in (tag for tag, kind in tags.items() if kind == "SQ"):
        made.add_new(tag, "SQ", [inner])
    return made


def write_predictions(folder: Path, cases: int = 6) -> Path:
    """Write truth/ and prediction/ of a ball with a core (1, 2), found one voxel aside."""
    for half in ("truth", "prediction"):
        (folder / half).mkdir(parents=True, exist_ok=True)
    for case in range(cases):
        label = cored(case)
        found = np.roll(label, case % 2 + 1, axis=case % 3)
        for half, array in (("truth", label), ("prediction", found)):
            name = f"s{case // 2}_v{case % 2}.nii.gz"
            write_image(folder / half / name, volume(array.T, np.diag([1.0, 1.5, 2.0, 1.0])))
    return folder


def cored(seed: int) -> np.ndarray:
    """A ball of 1 whose core is 2, axes (z, y, x)."""
    _, mask = blob(seed, (14, 16, 18))
    inner = mask & np.roll(mask, 2, 0) & np.roll(mask, -2, 1)
    return (mask.astype(np.uint8) + inner).astype(np.uint8)


def write_fibres(folder: Path, images: int = 2) -> Path:
    """Write masks of three ringed axons of g-ratio 0.6, as AxonDeepSeg names them."""
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:90, :120]
    for number in range(images):
        axon, myelin = np.zeros(y.shape, bool), np.zeros(y.shape, bool)
        for cy, cx, r in ((30, 30, 15), (55, 75, 20 + number), (4, 100, 10)):
            far = np.hypot(y - cy, x - cx)
            axon |= far < 0.6 * r
            myelin |= (far >= 0.6 * r) & (far < r)
        for name, mask in (("axon", axon), ("myelin", myelin), ("nerve", np.ones_like(axon))):
            content = image((255 * mask).astype(np.uint8))
            write_image(folder / f"s{number}_seg-{name}.png", content)
    return folder


def write_nuclei(folder: Path, images: int = 2) -> Path:
    """Write images/ and labels/ of bright discs, two of which touch, over an uneven background."""
    y, x = np.mgrid[:96, :96]
    for half in ("images", "labels"):
        (folder / half).mkdir(parents=True, exist_ok=True)
    for number in range(images):
        rng = np.random.default_rng(number)
        labels = np.zeros(y.shape, np.uint8)
        for count, (cy, cx) in enumerate(((20, 22), (34, 32), (70, 25), (60, 70), (25, 75)), 1):
            labels[np.hypot(y - cy - number, x - cx) < 8] = count
        content = 90 * (labels > 0) + 0.4 * x + 20 + rng.normal(0, 4, y.shape)
        write_image(folder / "images" / f"n{number}.tif", image(content.astype(np.float32)))
        write_image(folder / "labels" / f"n{number}.tif", image(labels))
    return folder


def write_candidates(folder: Path, images: int = 3) -> Path:
    """Write nuclei with two candidate masks of each, a region to take the second in, and marks."""
    write_nuclei(folder, images)
    for number in range(images):
        numbers = to_array(read_image(folder / f"labels/n{number}.tif"))[0]
        left = np.arange(96)[None] < 48 * np.ones((96, 1))
        halves = {"labels": numbers * left, "second": numbers, "regions": ~left}
        for name, half in halves.items():
            write_image(folder / name / f"n{number}.tif", image((half > 0).astype(np.uint8)))
    rows = "".join(f"n{number},{'bad' if number else 'good'}\n" for number in range(images - 1))
    (folder / "marks.csv").write_text(f"name,mark\n{rows}n{images - 1},Good\n")
    return folder


def write_sections(folder: Path, sections: int = 2, shape: tuple[int, int] = (64, 112)) -> Path:
    """Write raw_NN.tif of neighbouring sections: dark lines and bright spots, a mask file each."""
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for number in range(sections):
        rng = np.random.default_rng(number)
        lines = ((x + 2 * number) % 28 < 4) | ((y + number) % 24 < 4)
        spots = (np.hypot((x + 2 * number) % 28 - 16, (y + number) % 24 - 14) < 5) & ~lines
        content = 120 - 70 * lines + 60 * spots + rng.normal(0, 12, shape)
        grey = np.clip(content, 0, 255).astype(np.uint8)
        write_image(folder / f"raw_{number:02d}.tif", image(grey))
        for name, mask in (("lines", lines), ("spots", spots)):
            write_image(folder / f"{name}_{number:02d}.png", image(255 * mask.astype(np.uint8)))
    return folder


def write_nerve(folder: Path, images: int = 2, masks: bool = False) -> Path:
    """Write images of ringed axons with the size of their pixels, and one grey mask, or two."""
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:80, :100]
    for number in range(images):
        rng = np.random.default_rng(number)
        label = np.zeros(y.shape, np.uint8)
        for cy, cx, r in ((22, 20, 12), (55, 30 + number, 14), (40, 74, 16)):
            far = np.hypot(y - cy, x - cx)
            label[far < r] = 128
            label[far < 0.6 * r] = 255
        content = np.array([150, 40, 200])[np.digitize(label, [64, 192])]
        grey = np.clip(content + rng.normal(0, 10, y.shape), 0, 255).astype(np.uint8)
        write_image(folder / f"n{number}_image.png", image(grey))
        (folder / f"n{number}_pixel_size_um.txt").write_text("0.1")
        if masks:
            for name, grey_value in (("axon", 255), ("myelin", 128)):
                mask = 255 * (label == grey_value).astype(np.uint8)
                write_image(folder / f"n{number}_image_seg-{name}.png", image(mask))
        else:
            write_image(folder / f"n{number}_mask.png", image(label))
    return folder
