"""Data sets as people really have them on disk, in miniature, and what is made of each.

Names, folders, values, types and palettes are those of the public data set or of the program that
is named; what is left out is what nobody asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.io.cases import FoundCases, find_cases
from neuroloom.io.cases.check import check_cases
from neuroloom.microscopy import Segment
from tests.grids import write_dicom
from tests.io.cases.labs import (
    drawn,
    h5,
    indexed,
    itk,
    nii,
    noise,
    painted,
    picture,
    placed,
    text,
    tif,
)

LABS: list[Lab] = []


@dataclass(frozen=True)
class Lab:
    """One data set: how it is written, how it is asked for, and what must come of it.

    Attributes
    ----------
    cases
        Their names, in order.
    unlabelled
        Names of those without a label.
    subjects
        Whose each is; None: not looked at.
    channels
        Their names, or how many there are.
    classes, kind
        As they are declared; what the only kind of masks is called.
    holds
        The numbers in each label, of the first case that has one.
    size
        Of a voxel in array order, with its unit.
    notes
        A part of what is noted.
    label
        The path of the first label.
    """

    name: str
    write: Callable[[Path], Any]
    cases: list[str]
    at: str = ""
    ask: dict[str, Any] = field(default_factory=dict)
    unlabelled: tuple[str, ...] = ()
    subjects: list[str] | None = None
    channels: list[str] | int = 1
    classes: dict[int, str] | None = None
    kind: str = ""
    holds: tuple[int, ...] = (1,)
    size: tuple[Any, ...] = ()
    notes: str = ""
    label: str = ""
    more: dict[str, Any] = field(default_factory=dict)


def lab(name: str, cases: list[str], **expected: Any) -> Callable[[Any], Any]:
    """Put a writer into the table."""

    def add(write: Callable[[Path], Any]) -> Callable[[Path], Any]:
        LABS.append(Lab(name, write, cases, **expected))
        return write

    return add


MM = (2.0, 1.5, 1.0, "mm")


@lab(
    "nnU-Net v2 raw, two channels",
    ["la_001", "la_002"],
    subjects=["la_001", "la_002"],
    channels=["T1", "FLAIR"],
    classes={1: "edema", 2: "core"},
    holds=(1, 2),
    size=MM,
    notes="imagesTs were passed over",
)
def nnunet(root: Path) -> None:
    for case in ("la_001", "la_002"):
        for channel in ("0000", "0001"):
            nii(root / f"imagesTr/{case}_{channel}.nii.gz")
            nii(root / f"imagesTs/{case.replace('00', '01')}_{channel}.nii.gz")
        nii(root / f"labelsTr/{case}.nii.gz", 1, 2, kind=np.uint8)
    text(root / "dataset.json", {
        "channel_names": {"0": "T1", "1": "FLAIR"}, "numTraining": 2, "file_ending": ".nii.gz",
        "labels": {"background": 0, "edema": 1, "core": 2},
    })  # fmt: skip


@lab(
    "nnU-Net v2 raw, regions and ignore",
    ["BraTS_001"],
    channels=["T1"],
    classes={1: "1", 2: "2", 3: "enhancing tumor"},
    holds=(1, 2, 4),
    more={
        "regions": {"whole tumor": (1, 2, 3), "tumor core": (2, 3), "enhancing tumor": (3,)},
        "ignore": 4,
        "painted": (1, 2, 3),
    },
)
def nnunet_regions(root: Path) -> None:
    nii(root / "imagesTr/BraTS_001_0000.nii.gz")
    nii(root / "labelsTr/BraTS_001.nii.gz", 1, 2, 4, kind=np.uint8)
    text(root / "dataset.json", {
        "channel_names": {"0": "T1"}, "numTraining": 1, "file_ending": ".nii.gz",
        "labels": {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3],
                   "enhancing tumor": 3, "ignore": 4},
        "regions_class_order": [1, 2, 3],
    })  # fmt: skip


@lab(
    "nnU-Net v2 raw in PNG (Dataset120 road segmentation)",
    ["img-1", "img-2"],
    channels=["R", "G", "B"],
    classes={1: "road"},
    size=(1.0, 1.0, "px"),
)
def nnunet_png(root: Path) -> None:
    for case in ("img-1", "img-2"):
        picture(root / f"imagesTr/{case}_0000.png", colours=3)
        picture(root / f"labelsTr/{case}.png", 1)
    text(root / "dataset.json", {
        "channel_names": {"0": "R", "1": "G", "2": "B"}, "labels": {"background": 0, "road": 1},
        "numTraining": 2, "file_ending": ".png",
        "overwrite_image_reader_writer": "NaturalImage2DIO",
    })  # fmt: skip


@lab(
    "MSD Task01_BrainTumour: four modalities in one file",
    ["BRATS_001", "BRATS_002"],
    channels=["FLAIR", "T1w", "t1gd", "T2w"],
    classes={1: "edema", 2: "non-enhancing tumor", 3: "enhancing tumour"},
    holds=(1, 2, 3),
    notes="test images were passed over",
)
def msd_brats(root: Path) -> None:
    for case in ("BRATS_001", "BRATS_002"):
        nii(root / f"imagesTr/{case}.nii.gz", channels=4, kind=np.float32)
        nii(root / f"labelsTr/{case}.nii.gz", 1, 2, 3, kind=np.uint8)
        text(root / f"imagesTr/._{case}.nii.gz", "Mac OS X")
    nii(root / "imagesTs/BRATS_485.nii.gz", channels=4)
    text(root / "dataset.json", {
        "name": "BRATS", "tensorImageSize": "4D",
        "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
        "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor",
                   "3": "enhancing tumour"},
        "training": [{"image": f"./imagesTr/{c}.nii.gz", "label": f"./labelsTr/{c}.nii.gz"}
                     for c in ("BRATS_001", "BRATS_002")],
        "test": ["./imagesTs/BRATS_485.nii.gz"],
    })  # fmt: skip


@lab(
    "MSD Task04_Hippocampus",
    ["hippocampus_001"],
    channels=["MRI"],
    classes={1: "Anterior", 2: "Posterior"},
    holds=(1, 2),
    size=MM,
)
def msd_hippocampus(root: Path) -> None:
    nii(root / "imagesTr/hippocampus_001.nii.gz", kind=np.float32)
    nii(root / "labelsTr/hippocampus_001.nii.gz", 1, 2, kind=np.uint8)
    text(root / "dataset.json", {
        "modality": {"0": "MRI"}, "labels": {"0": "background", "1": "Anterior", "2": "Posterior"},
        "training": [{"image": "./imagesTr/hippocampus_001.nii.gz",
                      "label": "./labelsTr/hippocampus_001.nii.gz"}], "test": [],
    })  # fmt: skip


BRATS20 = ["BraTS20_Training_001", "BraTS20_Training_002"]


@lab(
    "BraTS 2020",
    BRATS20,
    subjects=BRATS20,
    channels=["flair", "t1", "t1ce", "t2"],
    holds=(1, 2, 4),
    size=MM,
)
def brats20(root: Path) -> None:
    for case in BRATS20:
        for contrast in ("flair", "t1", "t1ce", "t2"):
            nii(root / f"{case}/{case}_{contrast}.nii")
        nii(root / f"{case}/{case}_seg.nii", 1, 2, 4)
    text(root / "name_mapping.csv", "Grade,BraTS_2020_subject_ID\nHGG,BraTS20_Training_001\n")


BRATS23 = ["BraTS-GLI-00000-000", "BraTS-GLI-00002-000"]


@lab(
    "BraTS 2023",
    BRATS23,
    subjects=BRATS23,
    channels=["t1c", "t1n", "t2f", "t2w"],
    holds=(1, 2, 3),
)
def brats23(root: Path) -> None:
    for case in BRATS23:
        for contrast in ("t1c", "t1n", "t2f", "t2w"):
            nii(root / f"{case}/{case}-{contrast}.nii.gz")
        nii(root / f"{case}/{case}-seg.nii.gz", 1, 2, 3)


@lab(
    "BraTS 2020, validation: no labels, and a run that knows its channels",
    ["BraTS20_Validation_001"],
    ask={"channels": ["flair", "t1", "t1ce", "t2"], "labelled": False, "n_channels": 4},
    unlabelled=("BraTS20_Validation_001",),
    channels=["flair", "t1", "t1ce", "t2"],
)
def brats20_validation(root: Path) -> None:
    for contrast in ("flair", "t1", "t1ce", "t2"):
        case = "BraTS20_Validation_001"
        nii(root / f"{case}/{case}_{contrast}.nii.gz")


lab(
    "BraTS 2020, two contrasts that are asked for",
    BRATS20,
    ask={"channels": ["t1ce", "flair"]},
    channels=["t1ce", "flair"],
    holds=(1, 2, 4),
    notes="_t1.nii",
)(brats20)


@lab(
    "ISLES 2022, the diffusion images",
    ["sub-strokecase0001_ses-0001", "sub-strokecase0002_ses-0001"],
    ask={"channels": ["dwi", "adc"]},
    subjects=["strokecase0001", "strokecase0002"],
    channels=["dwi", "adc"],
    notes="no channel were passed over: FLAIR",
)
def isles22(root: Path) -> None:
    for number in (1, 2):
        subject = f"sub-strokecase000{number}"
        stem = f"{subject}_ses-0001"
        for contrast in ("dwi", "adc"):
            nii(root / f"{subject}/ses-0001/dwi/{stem}_{contrast}.nii.gz")
        nii(root / f"{subject}/ses-0001/anat/{stem}_FLAIR.nii.gz")
        nii(root / f"derivatives/{subject}/ses-0001/{stem}_msk.nii.gz", 1, kind=np.uint8)


@lab(
    "ISLES 2022, in a folder rawdata beside derivatives",
    ["sub-strokecase0001_ses-0001", "sub-strokecase0002_ses-0001"],
    ask={"channels": ["dwi"]},
    channels=["dwi"],
    subjects=["strokecase0001", "strokecase0002"],
)
def isles22_raw(root: Path) -> None:
    isles22(root)
    placed(root / "rawdata/x")
    text(root / "rawdata/dataset_description.json", {"Name": "ISLES"})
    for folder in sorted(root.glob("sub-*")):
        folder.rename(root / "rawdata" / folder.name)


ATLAS = "ses-1_space-MNI152NLin2009aSym"


@lab(
    "ATLAS v2.0: folders of sites, labels beside the images",
    [f"sub-r001s001_{ATLAS}_T1w", f"sub-r009s002_{ATLAS}_T1w"],
    subjects=["r001s001", "r009s002"],
    kind="T1lesion",
    size=MM,
)
def atlas(root: Path) -> None:
    for site, subject in (("R001", "sub-r001s001"), ("R009", "sub-r009s002")):
        stem = f"Training/{site}/{subject}/ses-1/anat/{subject}_{ATLAS}"
        nii(root / f"{stem}_T1w.nii.gz", kind=np.float32)
        nii(root / f"{stem}_label-L_desc-T1lesion_mask.nii.gz", 1, kind=np.uint8)


@lab(
    "Ljubljana MS lesions (open_ms_data, cross-sectional, coregistered)",
    ["patient01", "patient02"],
    subjects=["patient01", "patient02"],
    channels=["FLAIR", "T1W", "T1WKS", "T2W"],
    notes="patient01/brainmask.nii.gz",
)
def open_ms(root: Path) -> None:
    for patient in ("patient01", "patient02"):
        for contrast in ("FLAIR", "T1W", "T1WKS", "T2W"):
            nii(root / f"{patient}/{contrast}.nii.gz", kind=np.float32)
        nii(root / f"{patient}/brainmask.nii.gz", 1, kind=np.uint8)
        nii(root / f"{patient}/consensus_gt.nii.gz", 1, kind=np.uint8)


@lab(
    "MSLesSeg: several times of a patient",
    ["P1_T1", "P1_T2", "P2_T1"],
    subjects=["P1", "P1", "P2"],
    channels=["FLAIR", "T1", "T2"],
)
def mslesseg(root: Path) -> None:
    for patient, time in (("P1", "T1"), ("P1", "T2"), ("P2", "T1")):
        stem = f"train/{patient}/{time}/{patient}_{time}"
        for contrast in ("FLAIR", "T1", "T2"):
            nii(root / f"{stem}_{contrast}.nii.gz")
        nii(root / f"{stem}_MASK.nii.gz", 1)


@lab(
    "MS lesions of Baghdad (Mendeley): a label a contrast, by globs",
    ["1-Flair", "2-Flair"],
    ask={"images": ["*-Flair.nii"], "labels": ["*-LesionSeg-Flair.nii"]},
)
def baghdad(root: Path) -> None:
    for number in (1, 2):
        for contrast in ("Flair", "T1", "T2"):
            nii(root / f"Patient-{number}/{number}-{contrast}.nii")
            nii(root / f"Patient-{number}/{number}-LesionSeg-{contrast}.nii", 1)


@lab(
    "SpineGeneric: cord and points of discs in derivatives/labels",
    ["sub-amu01_T1w", "sub-amu01_T2w"],
    subjects=["amu01", "amu01"],
    kind="SC",
    more={"alone": ()},
)
def spine_generic(root: Path) -> None:
    text(root / "dataset_description.json", {"Name": "spine-generic", "BIDSVersion": "1.9.0"})
    text(root / "participants.tsv", "participant_id\tsex\tage\nsub-amu01\tM\t28\n")
    for contrast in ("T1w", "T2w"):
        stem = f"sub-amu01/anat/sub-amu01_{contrast}"
        nii(root / f"{stem}.nii.gz")
        nii(root / f"derivatives/labels/{stem}_label-SC_seg.nii.gz", 1, kind=np.uint8)
        nii(root / f"derivatives/labels/{stem}_label-discs_dlabel.nii.gz", 3, kind=np.uint8)


@lab(
    "ivadomed: cord and lesions",
    ["sub-bwh001_ses-M0_T2w"],
    classes={1: "label", 2: "lesion"},
    subjects=["bwh001"],
    holds=(1, 2),
)
def ivadomed(root: Path) -> None:
    stem = "sub-bwh001/ses-M0/anat/sub-bwh001_ses-M0_T2w"
    nii(root / f"{stem}.nii.gz")
    nii(root / f"derivatives/labels/{stem}_seg-manual.nii.gz", 7, 1, kind=np.uint8)
    nii(root / f"derivatives/labels/{stem}_lesion-manual.nii.gz", 1, kind=np.uint8)


@lab(
    "AxonDeepSeg's SEM data in BIDS: a mask of both classes beside one of each",
    ["sub-rat1_sample-data1_SEM"],
    classes={1: "axon", 2: "myelin"},
    holds=(1, 2),
    size=(0.1, 0.1, "um"),
    notes="two classes in one were passed over: axonmyelin",
    more={"alone": ()},
)
def axon_bids(root: Path) -> None:
    stem = "sub-rat1/micr/sub-rat1_sample-data1_SEM"
    text(root / "participants.tsv", "participant_id\tspecies\nsub-rat1\trattus norvegicus\n")
    text(root / f"{stem}.json", {"PixelSize": [0.1, 0.1], "PixelSizeUnits": "um"})
    picture(root / f"{stem}.png")
    labels = root / f"derivatives/labels/{stem}"
    picture(labels.with_name(f"{labels.name}_seg-axon-manual.png"), 255)
    picture(labels.with_name(f"{labels.name}_seg-myelin-manual.png"), 0, 255)
    picture(labels.with_name(f"{labels.name}_seg-axonmyelin-manual.png"), 255, 127)


@lab(
    "fMRIPrep's derivatives, native anatomy",
    ["sub-01_desc-preproc_T1w", "sub-02_desc-preproc_T1w"],
    ask={"include": ["sub-??_desc-preproc_T1w.nii.gz"]},
    subjects=["01", "02"],
    holds=(1, 2, 3),
    more={"names": {1: "Gray Matter", 2: "White Matter", 3: "Cerebrospinal Fluid"}},
)
def fmriprep(root: Path) -> None:
    text(root / "dataset_description.json", {"Name": "fMRIPrep", "DatasetType": "derivative"})
    text(
        root / "dseg.tsv", "index\tname\n1\tGray Matter\n2\tWhite Matter\n3\tCerebrospinal Fluid\n"
    )
    for subject in ("sub-01", "sub-02"):
        for space in ("", "_space-MNI152NLin2009cAsym_res-2"):
            stem = f"{subject}/anat/{subject}{space}"
            nii(root / f"{stem}_desc-preproc_T1w.nii.gz", kind=np.float32)
            nii(root / f"{stem}_desc-brain_mask.nii.gz", 1, kind=np.uint8)
            nii(root / f"{stem}_dseg.nii.gz", 1, 2, 3)
            for tissue in ("GM", "WM", "CSF"):
                nii(root / f"{stem}_label-{tissue}_probseg.nii.gz", kind=np.float32)
        stem = f"{subject}/func/{subject}_task-rest_space-MNI152NLin2009cAsym_res-2"
        nii(root / f"{stem}_desc-preproc_bold.nii.gz", channels=3, kind=np.float32)
        nii(root / f"{stem}_boldref.nii.gz")
        nii(root / f"{stem}_desc-brain_mask.nii.gz", 1, kind=np.uint8)


@lab(
    "fMRIPrep's derivatives, in MNI space, beside the native one",
    ["sub-01_space-MNI152NLin2009cAsym_res-2_desc-preproc_T1w",
     "sub-02_space-MNI152NLin2009cAsym_res-2_desc-preproc_T1w"],
    ask={"include": ["*_res-2_desc-preproc_T1w.nii.gz"]},
    holds=(1, 2, 3),
    notes="",
)  # fmt: skip
def fmriprep_mni(root: Path) -> None:
    fmriprep(root)


@lab(
    "fMRIPrep's derivatives with FreeSurfer's atlases",
    ["sub-01_desc-preproc_T1w", "sub-02_desc-preproc_T1w"],
    ask={"include": ["sub-??_desc-preproc_T1w.nii.gz"]},
    holds=(1, 2, 3),
    label="sub-01/anat/sub-01_dseg.nii.gz",
    notes="Atlases beside a plain dseg were passed over: sub-01/anat/sub-01_desc-",
    more={"alone": ()},
)
def fmriprep_with_freesurfer(root: Path) -> None:
    fmriprep(root)
    for subject, atlas_name in product(("sub-01", "sub-02"), ("aseg", "aparcaseg")):
        nii(root / f"{subject}/anat/{subject}_desc-{atlas_name}_dseg.nii.gz", 17, 53)


@lab(
    "FreeSurfer's SUBJECTS_DIR, by globs",
    ["bert_mri_T1", "ernie_mri_T1"],
    ask={
        "images": ["*/mri/T1.mgz"], "labels": ["*/mri/aseg.mgz"],
        "pattern": "{subject}/mri/T1",
    },
    subjects=["bert", "ernie"],
    holds=(17, 53),
    size=MM,
)  # fmt: skip
def freesurfer(root: Path) -> None:
    for subject in ("bert", "ernie"):
        for name in ("orig", "T1", "brain", "norm"):
            nii(root / f"{subject}/mri/{name}.mgz", kind=np.uint8)
        for name in ("aseg", "aparc+aseg", "wmparc"):
            nii(root / f"{subject}/mri/{name}.mgz", 17, 53, kind=np.int32)


ORGANS = ("brain", "liver", "spleen")


@lab(
    "TotalSegmentator's data",
    ["s0000", "s0001"],
    subjects=["s0000", "s0001"],
    classes={1: "brain", 2: "liver", 3: "spleen"},
    holds=(1, 2, 3),
)
def totalsegmentator(root: Path) -> None:
    text(root / "meta.csv", "image_id;age;gender\ns0000;60;f\ns0001;71;m\n")
    for case in ("s0000", "s0001"):
        nii(root / f"{case}/ct.nii.gz")
        for number, organ in enumerate(ORGANS):
            nii(root / f"{case}/segmentations/{organ}.nii.gz", *[0] * number, 1, kind=np.uint8)


@lab(
    "TotalSegmentator's output beside the image",
    ["patient7"],
    at="patient7",
    classes={1: "brain", 2: "liver", 3: "spleen"},
    holds=(1, 2, 3),
)
def totalsegmentator_output(root: Path) -> None:
    totalsegmentator(root)
    (root / "s0000").rename(root / "patient7")


@lab(
    "Contours exported with the patient's name before the organ's",
    ["P1", "P2"],
    subjects=["P1", "P2"],
    classes={1: "ctv", 2: "gtv"},
    holds=(1, 2),
)
def contours(root: Path) -> None:
    for patient in ("P1", "P2"):
        nii(root / f"{patient}/images/t1.nii.gz")
        nii(root / f"{patient}/masks/{patient}_ctv.nii.gz", 1)
        nii(root / f"{patient}/masks/{patient}_gtv.nii.gz", 0, 1)


@lab(
    "KiTS19 and 23",
    ["case_00000", "case_00001"],
    subjects=["case_00000", "case_00001"],
    holds=(1, 2),
)
def kits(root: Path) -> None:
    for case in ("case_00000", "case_00001"):
        nii(root / f"{case}/imaging.nii.gz")
        nii(root / f"{case}/segmentation.nii.gz", 1, 2, kind=np.uint8)
    nii(root / "case_00210/imaging.nii.gz")
    text(root / "kits.json", [{"case_id": "case_00000"}])


lab(
    "KiTS19, to be predicted: cases without a label, too",
    ["case_00000", "case_00001", "imaging"],
    ask={"labelled": False},
    unlabelled=("case_00000", "case_00001", "imaging"),
)(kits)


@lab("LiTS", ["volume-0", "volume-1"], holds=(1, 2))
def lits(root: Path) -> None:
    for number in (0, 1):
        nii(root / f"volume-{number}.nii")
        nii(root / f"segmentation-{number}.nii", 1, 2, kind=np.uint8)


@lab("PROMISE12", ["Case00", "Case01"], size=(3.6, 0.7, 0.6, "mm"))
def promise12(root: Path) -> None:
    for number in (0, 1):
        itk(root / f"Case0{number}.mhd")
        itk(root / f"Case0{number}_segmentation.mhd", 1)


@lab(
    "ACDC",
    ["patient101_frame01", "patient001_frame01", "patient001_frame12"],
    subjects=["patient101", "patient001", "patient001"],
    holds=(1, 2, 3),
    notes="patient001_4d.nii.gz",
)
def acdc(root: Path) -> None:
    for place, frames in (("training/patient001", (1, 12)), ("testing/patient101", (1,))):
        patient = Path(place).name
        text(root / place / "Info.cfg", "ED: 1\nES: 12\nGroup: DCM\n")
        nii(root / place / f"{patient}_4d.nii.gz", channels=5)
        for frame in frames:
            nii(root / place / f"{patient}_frame{frame:02d}.nii.gz")
            nii(root / place / f"{patient}_frame{frame:02d}_gt.nii.gz", 1, 2, 3, kind=np.uint8)


@lab(
    "OASIS of Learn2Reg",
    ["OASIS_0001_0000", "OASIS_0002_0000"],
    holds=(1, 2),
)
def oasis_l2r(root: Path) -> None:
    for number in (1, 2):
        nii(root / f"imagesTr/OASIS_000{number}_0000.nii.gz", kind=np.float32)
        nii(root / f"labelsTr/OASIS_000{number}_0000.nii.gz", 1, 2)
        nii(root / f"masksTr/OASIS_000{number}_0000.nii.gz", 1)
    text(root / "OASIS_dataset.json", {"name": "OASIS", "training": []})


@lab(
    "OASIS of neurite, by globs",
    ["OASIS_OAS1_0001_MR1_aligned_norm", "OASIS_OAS1_0002_MR1_aligned_norm"],
    ask={"images": ["*/aligned_norm.nii.gz"], "labels": ["*/aligned_seg35.nii.gz"],
         "pattern": "{subject}/aligned_norm"},
    subjects=["OASIS_OAS1_0001_MR1", "OASIS_OAS1_0002_MR1"],
    holds=(1, 35),
)  # fmt: skip
def oasis_neurite(root: Path) -> None:
    for number in (1, 2):
        folder = root / f"OASIS_OAS1_000{number}_MR1"
        for name in ("orig", "norm", "aligned_orig", "aligned_norm"):
            nii(folder / f"{name}.nii.gz", kind=np.float32)
        for name in ("seg4", "seg35", "aligned_seg4", "aligned_seg35"):
            nii(folder / f"{name}.nii.gz", 1, int(name[-2:].strip("g")))


@lab("SegTHOR", ["Patient_01", "Patient_02"], subjects=["Patient_01", "Patient_02"],
     holds=(1, 2, 3, 4))  # fmt: skip
def segthor(root: Path) -> None:
    for patient in ("Patient_01", "Patient_02"):
        nii(root / f"train/{patient}/{patient}.nii.gz")
        nii(root / f"train/{patient}/GT.nii.gz", 1, 2, 3, 4, kind=np.uint8)
        nii(root / f"train/{patient}/resampled.nii.gz")


@lab(
    "CREMI, by a table",
    ["A", "B"],
    at="cremi.csv",
    holds=(7, 9),
)
def cremi(root: Path) -> None:
    lines = ["name,image,label"]
    for sample in "AB":
        file = root / f"sample_{sample}_20160501.hdf"
        label = np.broadcast_to(drawn(file, (16, 20), (7, 9)), (3, 16, 20)).astype(np.uint64)
        h5(file, volumes__raw=noise(file, (3, 16, 20)).astype(np.uint8),
           volumes__labels__neuron_ids=label, volumes__labels__clefts=label)  # fmt: skip
        at = file.name
        lines.append(f"{sample},{at}::volumes/raw,{at}::volumes/labels/neuron_ids")
    text(root / "cremi.csv", "\n".join(lines))


@lab("ISBI 2012: 30 pages, membranes 0 and cells 255", ["test-volume", "train-volume"],
     unlabelled=("test-volume",), size=(1.0, 1.0, 1.0, "px"))  # fmt: skip
def isbi2012(root: Path) -> None:
    tif(root / "train-volume.tif", depth=4)
    tif(root / "train-labels.tif", 255, depth=4)
    tif(root / "test-volume.tif", depth=4)


@lab("SNEMI3D: numbers of neurites", ["train-input"], holds=(1, 400))
def snemi(root: Path) -> None:
    tif(root / "train-input.tif", depth=4)
    tif(root / "train-labels.tif", 1, 400, depth=4, kind=np.uint16)


@lab("EPFL's hippocampus (Lucchi): stacks", ["testing", "training"])
def lucchi(root: Path) -> None:
    for side in ("training", "testing"):
        tif(root / f"{side}.tif", depth=3)
        tif(root / f"{side}_groundtruth.tif", 255, depth=3)


@lab("Lucchi++ of Casser, by globs", ["mask0000", "mask0001"],
     ask={"images": ["Train_In/*.png"], "labels": ["Train_Out/*.png"]})  # fmt: skip
def lucchi_pp(root: Path) -> None:
    for number in (0, 1):
        picture(root / f"Train_In/mask000{number}.png")
        picture(root / f"Train_Out/mask000{number}.png", 255)
        picture(root / f"Test_In/mask000{number}.png")
        picture(root / f"Test_Out/{number}.png", 255)


@lab("Cellpose's data, with masks that it made", ["000_img", "001_img"],
     channels=3, holds=(1, 2, 300), notes="000_img_cp_masks.png")  # fmt: skip
def cellpose(root: Path) -> None:
    for number in ("000", "001"):
        picture(root / f"train/{number}_img.png", colours=3)
        picture(root / f"train/{number}_masks.png", 1, 2, 300)
    picture(root / "train/000_img_cp_masks.png", 1, 2, 300)
    placed(root / "train/000_img_seg.npy").write_bytes(b"\x93NUMPY")


@lab("Cellpose's window: masks beside one's own pictures", ["slice1", "slice2"], holds=(1, 2))
def cellpose_own(root: Path) -> None:
    for name in ("slice1", "slice2"):
        tif(root / f"{name}.tif", kind=np.uint16)
        picture(root / f"{name}_cp_masks.png", 1, 2)
        placed(root / f"{name}_seg.npy").write_bytes(b"\x93NUMPY")


NUCLEI = ("00071198d059ba7f5914a526d124d28e6d010c92", "003cee89357d9fe13516167fd67b609a164651b2")


@lab("DSB2018: a mask a nucleus", [*NUCLEI], subjects=[*NUCLEI], channels=3, holds=(1, 2, 3))
def dsb2018(root: Path) -> None:
    for name in NUCLEI:
        picture(root / f"stage1_train/{name}/images/{name}.png", colours=3)
        for nucleus, place in (("07a9", 0), ("0a61", 1), ("9f3c", 2)):
            mask = root / f"stage1_train/{name}/masks/{nucleus}{name[5:]}.png"
            picture(mask, *[0] * place, 255)


@lab("StarDist's DSB2018", ["0f1f896d", "0a7d30b2"], holds=(1, 2, 3))
def stardist(root: Path) -> None:
    for side, name in (("train", "0a7d30b2"), ("test", "0f1f896d")):
        tif(root / f"{side}/images/{name}.tif")
        tif(root / f"{side}/masks/{name}.tif", 1, 2, 3, kind=np.uint16)


@lab(
    "Cell Tracking Challenge: Fluo-N2DH-SIM+",
    ["01_t000", "01_t001", "02_t000", "02_t001"],
    subjects=["01", "01", "02", "02"],
    holds=(1, 2),
)
def ctc(root: Path) -> None:
    for sequence in ("01", "02"):
        for time in ("000", "001"):
            tif(root / f"{sequence}/t{time}.tif", kind=np.uint16)
            tif(root / f"{sequence}_GT/SEG/man_seg{time}.tif", 1, 2, kind=np.uint16)
            tif(root / f"{sequence}_GT/TRA/man_track{time}.tif", 1, 2, kind=np.uint16)
        text(root / f"{sequence}_GT/TRA/man_track.txt", "1 0 1 0\n2 0 1 0\n")


@lab(
    "AxonDeepSeg's training data: a folder a sample",
    ["sample1_image", "sample2_image"],
    ask={"values": {"myelin": 127, "axon": 255}},
    subjects=["sample1", "sample2"],
    classes={1: "myelin", 2: "axon"},
    holds=(1, 2),
    size=(0.07, 0.07, "um"),
)
def axondeepseg(root: Path) -> None:
    for sample in ("sample1", "sample2"):
        picture(root / f"{sample}/image.png")
        picture(root / f"{sample}/mask.png", 127, 255)
        text(root / f"{sample}/pixel_size_in_micrometer.txt", "0.07")


@lab(
    "AxonDeepSeg's masks beside the image",
    ["rat"],
    classes={1: "axon", 2: "myelin"},
    holds=(1, 2),
    notes="rat_seg-axonmyelin.png",
)
def axondeepseg_output(root: Path) -> None:
    tif(root / "rat.tif")
    picture(root / "rat_seg-axon.png", 255)
    picture(root / "rat_seg-myelin.png", 0, 255)
    picture(root / "rat_seg-axonmyelin.png", 255, 127)
    text(root / "rat_axon_morphometrics.csv", "x0,y0\n")


@lab("Fiji: binary masks, white is zero", ["a_image", "b_image"], size=(0.25, 0.25, "um"))
def fiji(root: Path) -> None:
    for name in "ab":
        tif(root / f"{name}_image.tif", imagej=True, resolution=(4, 4), metadata={"unit": "um"})
        tif(root / f"{name}_mask.tif", 255, photometric="miniswhite")


@lab("Labkit: numbers in a TIFF with a colour table", ["a", "b"], holds=(1, 2))
def labkit(root: Path) -> None:
    table = np.zeros((3, 256), np.uint16)
    table[0, 1], table[1, 2] = 65535, 65535
    for name in "ab":
        tif(root / f"images/{name}.tif")
        tif(root / f"labels/{name}.tif", 1, 2, photometric="palette", colormap=table)


TILE = "[x=0,y=0,w=512,h=512]"


@lab("QuPath: labelled tiles with a palette", [f"slide1 {TILE}", f"slide2 {TILE}"],
     channels=3, holds=(1, 2))  # fmt: skip
def qupath(root: Path) -> None:
    for slide in ("slide1", "slide2"):
        picture(root / f"{slide} {TILE}.jpg", colours=3)
        indexed(root / f"{slide} {TILE}-labelled.png", 1, 2)


@lab("LabelMe, a folder a picture", ["apc2016_obj3_json_img", "b_json_img"], channels=3,
     holds=(1, 2), notes="label_viz.png")  # fmt: skip
def labelme(root: Path) -> None:
    for name in ("apc2016_obj3", "b"):
        picture(root / f"{name}_json/img.png", colours=3)
        indexed(root / f"{name}_json/label.png", 1, 2)
        picture(root / f"{name}_json/label_viz.png", colours=3)
        text(root / f"{name}_json/label_names.txt", "_background_\nshelf\n")


@lab("VOC, as labelme2voc writes it", ["2011_000003", "2011_000006"], channels=3,
     ask={"ignore": 255}, holds=(1, 15, 255))  # fmt: skip
def voc(root: Path) -> None:
    palette = [(k, 255 - k, 7) if k else (0, 0, 0) for k in range(256)]
    for name in ("2011_000003", "2011_000006"):
        picture(root / f"JPEGImages/{name}.jpg", colours=3)
        indexed(root / f"SegmentationClass/{name}.png", 1, 15, 255, palette=palette)
        indexed(root / f"SegmentationObject/{name}.png", 1, 2, 255, palette=palette)
        picture(root / f"SegmentationClassVisualization/{name}.jpg", colours=3)
    text(root / "class_names.txt", "_background_\nperson\n")


@lab("CVAT: colours that labelmap.txt names", ["frame_000000", "frame_000001", "frame_000002"],
     channels=3, classes={1: "dendrite", 2: "spine"}, holds=(2,))  # fmt: skip
def cvat(root: Path) -> None:
    dendrite, spine = (250, 50, 83), (51, 221, 255)
    for number, colours in enumerate(((spine,), (dendrite, spine), ())):
        picture(root / f"JPEGImages/frame_00000{number}.jpg", colours=3)
        painted(root / f"SegmentationClass/frame_00000{number}.png", *colours)
        painted(root / f"SegmentationObject/frame_00000{number}.png", dendrite)
    text(root / "labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\n"
         "dendrite:250,50,83::\nspine:51,221,255::\n")  # fmt: skip


@lab("Kaggle: train_images beside train_masks", ["a", "b"], subjects=["a", "b"])
def kaggle(root: Path) -> None:
    for name in "ab":
        picture(root / f"train_images/{name}.png")
        picture(root / f"train_masks/{name}.png", 255)


@lab("Pictures with a folder of their masks", ["a", "b"], subjects=["a", "b"], holds=(1, 2),
     label="masks/a_mask.png", notes="")  # fmt: skip
def masks_below(root: Path) -> None:
    for name in "ab":
        tif(root / f"{name}.tif")
        picture(root / f"masks/{name}_mask.png", 1, 2)


@lab("ITK-SNAP: a segmentation and its label description", ["scan"], holds=(1, 2))
def itksnap(root: Path) -> None:
    nii(root / "scan.nii.gz")
    nii(root / "scan_seg.nii.gz", 1, 2, kind=np.uint16)
    text(root / "labels.txt", "################\n# ITK-SnAP Label Description File\n"
         '    0     0    0    0        0  0  0    "Clear Label"\n'
         '    1   255    0    0        1  1  1    "tumour"\n')  # fmt: skip


@lab("3D Slicer: a .seg.nrrd beside each volume", ["MRHead1", "MRHead2"], holds=(1, 2),
     size=(3.6, 0.7, 0.6, "mm"), more={"names": {1: "tumour", 2: "edema"}})  # fmt: skip
def slicer(root: Path) -> None:
    for name in ("MRHead1", "MRHead2"):
        itk(root / f"{name}.nrrd")
        itk(root / f"{name}.seg.nrrd", 1, 2, Segment0_Name="tumour", Segment0_LabelValue="1",
            Segment1_Name="edema", Segment1_LabelValue="2")  # fmt: skip


@lab("3D Slicer: a folder a patient", ["P1", "P2"], subjects=["P1", "P2"], holds=(1,))
def slicer_folders(root: Path) -> None:
    for patient in ("P1", "P2"):
        itk(root / f"{patient}/T1.nrrd")
        itk(root / f"{patient}/Segmentation.seg.nrrd", 1, Segment0_Name="tumour")


@lab("A DICOM series and a segmentation beside it", ["P1", "P2"], subjects=["P1", "P2"],
     size=(2.5, 0.7, 0.8, "mm"))  # fmt: skip
def dicom_beside(root: Path) -> None:
    from neuroloom.io.images import read_image, to_array, write_image

    for patient in ("P1", "P2"):
        folder = root / patient / "T1_axial"
        write_dicom(folder, noise(folder, (4, 12, 14)))
        like = read_image(folder)
        label = np.broadcast_to(drawn(folder, (12, 14), (1,)), (4, 12, 14))
        assert to_array(like).shape[1:] == label.shape
        write_image(root / patient / "segmentation.nii.gz", label, like)


@lab("Analyze pairs, .img with .hdr", ["s1", "s2"], size=MM)
def analyze(root: Path) -> None:
    for name in ("s1", "s2"):
        nii(root / f"images/{name}.img")
        nii(root / f"labels/{name}.img", 1)


@lab("napari: OME-Zarr with its labels inside, by a table", ["c1"], at="t.csv", holds=(1, 2),
     size=(0.5, 0.5, "um"))  # fmt: skip
def ome_zarr(root: Path) -> None:
    import zarr

    store = root / "c1.ome.zarr"
    axes = [{"name": a, "type": "space", "unit": "micrometer"} for a in "yx"]
    scale = [{"type": "scale", "scale": [0.5, 0.5]}]
    level = {"path": "0", "coordinateTransformations": scale}
    facts = [{"version": "0.4", "axes": axes, "datasets": [level]}]
    for inside, values in (("", ()), ("labels/cells", (1, 2))):
        group = zarr.open_group(str(store), path=inside or None, mode="a", zarr_format=2)
        data = drawn(store, (16, 20), values) if values else noise(store, (16, 20))
        group.create_array("0", shape=data.shape, dtype=np.uint16)[...] = data
        group.attrs["multiscales"] = facts
    zarr.open_group(str(store), path="labels", mode="a", zarr_format=2).attrs["labels"] = ["cells"]
    text(root / "t.csv", "image,label\nc1.ome.zarr,c1.ome.zarr::labels/cells\n")


@lab(
    "DRIVE: vessels and not the field of view",
    ["01_test", "02_test", "21_training", "22_training"],
    channels=3,
    label="test/1st_manual/01_manual1.gif",
)
def drive(root: Path) -> None:
    for side, numbers in (("training", ("21", "22")), ("test", ("01", "02"))):
        for number in numbers:
            tif(root / f"{side}/images/{number}_{side}.tif", photometric="rgb")
            picture(root / f"{side}/1st_manual/{number}_manual1.gif", 255)
            picture(root / f"{side}/mask/{number}_{side}_mask.gif", 255, 255, 255)
    picture(root / "test/2nd_manual/01_manual2.gif", 255)


@lab("HRF: vessels and not the field of view", ["01_dr", "02_h"], channels=3,
     label="manual1/01_dr.tif")  # fmt: skip
def hrf(root: Path) -> None:
    for name in ("01_dr", "02_h"):
        picture(root / f"images/{name}.JPG", colours=3)
        tif(root / f"manual1/{name}.tif", 255)
        tif(root / f"mask/{name}_mask.tif", 255, 255, 255)


@lab("STARE, by globs", ["im0001", "im0002"], channels=3,
     ask={"images": ["stare-images/*.ppm.gz"], "labels": ["labels-ah/*.ah.ppm.gz"]})  # fmt: skip
def stare(root: Path) -> None:
    for name in ("im0001", "im0002"):
        picture(root / f"stare-images/{name}.ppm.gz", colours=3)
        for expert in ("ah", "vk"):
            picture(root / f"labels-{expert}/{name}.{expert}.ppm.gz", 255)


@lab("CHASE_DB1, the first observer by globs", ["Image_01L", "Image_01R"], channels=3,
     ask={"images": ["*.jpg"], "labels": ["*_1stHO.png"]})  # fmt: skip
def chase(root: Path) -> None:
    for eye in ("01L", "01R"):
        picture(root / f"Image_{eye}.jpg", colours=3)
        for observer in ("1stHO", "2ndHO"):
            picture(root / f"Image_{eye}_{observer}.png", 255)


@lab("BIDS to learn age and sex from (IXI, OASIS, ADNI)", ["sub-IXI002_T1w", "sub-IXI012_T1w"],
     unlabelled=("sub-IXI002_T1w", "sub-IXI012_T1w"), subjects=["IXI002", "IXI012"])  # fmt: skip
def ixi(root: Path) -> None:
    text(root / "participants.tsv", "participant_id\tage\tsex\nsub-IXI002\t35.8\tF\n"
         "sub-IXI012\t38.78\tM\nsub-IXI013\tn/a\tM\n")  # fmt: skip
    for subject in ("sub-IXI002", "sub-IXI012"):
        nii(root / f"{subject}/anat/{subject}_T1w.nii.gz")


@lab("A table of OASIS: age and M/F", ["OAS1_0001_MR1_mpr", "OAS1_0002_MR1_mpr"], at="oasis.csv",
     unlabelled=("OAS1_0001_MR1_mpr", "OAS1_0002_MR1_mpr"),
     subjects=["OAS1_0001", "OAS1_0002"])  # fmt: skip
def oasis_table(root: Path) -> None:
    lines = ["image;Subject;M/F;Age;CDR"]
    for number, (sex, age, cdr) in enumerate((("F", 74, 0), ("M", 55, "")), start=1):
        name = f"OAS1_000{number}_MR1"
        nii(root / f"{name}/RAW/{name}_mpr.img")
        lines.append(f"{name}/RAW/{name}_mpr.img;OAS1_000{number};{sex};{age};{cdr}")
    text(root / "oasis.csv", "\n".join(lines))


@lab("A folder a class", ["a", "b", "c"], unlabelled=("a", "b", "c"), channels=3)
def classes(root: Path) -> None:
    for name in ("normal/a.jpg", "tumour/b.jpg", "tumour/c.jpg"):
        picture(root / name, colours=3)


@pytest.mark.parametrize("lab", LABS, ids=[lab.name for lab in LABS])
def test_what_is_made_of_real_data_sets(lab: Lab, tmp_path: Path) -> None:
    lab.write(tmp_path)
    found = find_cases(tmp_path / lab.at, **lab.ask)
    assert found.table["name"].tolist() == lab.cases, found.layout
    unlabelled = found.table["name"][found.table["label"].isna()]
    assert unlabelled.tolist() == list(lab.unlabelled), found.layout
    if lab.label:
        assert next(filter(None, found.table["label"])) == lab.label
    if lab.subjects is not None:
        assert found.table["subject"].tolist() == lab.subjects
    assert (found.classes, found.kind if found.kind != "label" else "") == (lab.classes, lab.kind)
    assert lab.notes in " ".join(found.notes)
    for name, value in lab.more.items():
        assert getattr(found, name) == value
    check_voxels(lab, found)


def check_voxels(lab: Lab, found: FoundCases) -> None:
    """Compare channels, sizes and numbers of labels, and let the audit look at all."""
    case = next((case for case in found.cases if case.label is not None), found.cases[0])
    if isinstance(lab.channels, list):
        assert found.channels == lab.channels
    count = lab.channels if isinstance(lab.channels, int) else len(lab.channels)
    assert len(case.image()) == count
    if lab.size:
        assert (*case.spacing, case.unit) == pytest.approx(lab.size)
    truth = case.truth()
    if truth is not None:
        assert tuple(np.unique(truth[truth > 0]).tolist()) == lab.holds
    errors = [p.text for p in check_cases(found.cases) if p.severity == "error"]
    assert not errors


NOT_READ: list[Any] = []


def refused(said: str, at: str = "") -> Callable[[Any], Any]:
    """Put a writer into the table of what is refused, with what is said."""

    def add(write: Callable[[Path], Any]) -> Callable[[Path], Any]:
        NOT_READ.append(pytest.param(write, at, said, id=write.__name__))
        return write

    return add


refused("on which of FLAIR, adc, dwi they are drawn: name as `channels` those that have")(isles22)
refused("no label belongs to any image.*globs.*'\\*/mri/T1.mgz'.*table with the")(freesurfer)
refused("no label belongs to any image.*globs.*table with the columns")(oasis_neurite)
refused("no label belongs to any image.*globs.*table with the columns")(lucchi_pp)
refused("no label belongs to any image.*globs.*table with the columns")(baghdad)
refused("no label belongs to any image.*globs.*table with the columns")(chase)


@refused("no label belongs to any image.*globs.*table with the columns")
def chaos(root: Path) -> None:
    for patient in ("1", "2"):
        folder = root / f"Train_Sets/CT/{patient}/DICOM_anon"
        write_dicom(folder, noise(folder, (4, 12, 14)))
        for number in range(4):
            picture(folder.parent / f"Ground/liver_GT_{number:03d}.png", 255)


@refused(r"aparcaseg_dseg.nii.gz' and '.*aseg_dseg.nii.gz' would both be the label")
def fmriprep_with_atlases_alone(root: Path) -> None:
    fmriprep_with_freesurfer(root)
    for plain in root.rglob("sub-??_dseg.nii.gz"):
        plain.unlink()


@refused(r"labels/ with no label that can be read but .npy files: write them as")
def openeds(root: Path) -> None:
    for side in ("train", "validation"):
        picture(root / f"{side}/images/000000.png")
        placed(root / f"{side}/labels/000000.npy").write_bytes(b"\x93NUMPY")


@refused(r"a mask in the colours .*nothing says which class each is; give each class a number")
def cvat_without_its_labelmap(root: Path) -> None:
    cvat(root)
    (root / "labelmap.txt").unlink()


@refused(r"is painted in \(51, 221, 255\), which labelmap.txt does not name")
def cvat_with_a_colour_too_many(root: Path) -> None:
    cvat(root)
    text(root / "labelmap.txt", "background:0,0,0::\ndendrite:250,50,83::\n")


@refused("seg.nrrd: a label has one channel, this one has 2 that differ; give one file a class")
def slicer_layers(root: Path) -> None:
    import SimpleITK

    itk(root / "a.nrrd")
    layers = [drawn(root / "a", (14, 10, 6), values).T for values in ((1, 1), (0, 1))]
    image = SimpleITK.GetImageFromArray(np.stack(layers, -1).astype(np.uint8), isVector=True)
    image.SetSpacing((0.6, 0.7, 3.6))
    SimpleITK.WriteImage(image, str(root / "a.seg.nrrd"))


@refused("is a DICOM Segmentation of several segments; write it as .nii.gz", at="t.csv")
def dicom_seg(root: Path) -> None:
    from neuroloom.io.images.dicom_seg import write_seg

    folder = root / "scan"
    write_dicom(folder, noise(folder, (4, 12, 14)))
    label = np.broadcast_to(drawn(folder, (12, 14), (1, 2)), (4, 12, 14))
    write_seg(root / "seg.dcm", label, folder, {1: "tumour", 2: "edema"})
    text(root / "t.csv", "image,label\nscan,seg.dcm\n")


@refused("holds 3 arrays: volumes/labels/clefts .*; pick one, 'sample_A_20160501.hdf::volumes/",
         at="t.csv")  # fmt: skip
def cremi_without_a_name(root: Path) -> None:
    cremi(root)
    file = "sample_A_20160501.hdf"
    text(root / "t.csv", f"image,label\n{file},{file}::volumes/labels/clefts\n")


@refused("a manifest of images needs a column 'image'.*this one has RID, PTID", at="ADNIMERGE.csv")
def adni(root: Path) -> None:
    text(root / "ADNIMERGE.csv", "RID,PTID,AGE,PTGENDER,DX\n2,011_S_0002,74.3,Male,CN\n")


@pytest.mark.parametrize(("write", "at", "said"), NOT_READ)
def test_what_is_not_read_says_what_to_do(
    write: Callable[[Path], Any], at: str, said: str, tmp_path: Path
) -> None:
    write(tmp_path)
    with pytest.raises(DataError, match=f"(?s){said}"):
        Segment().read(tmp_path / at)


def test_what_tables_say_of_people_is_kept(tmp_path: Path) -> None:
    ixi(tmp_path / "ixi")
    table = find_cases(tmp_path / "ixi").table
    assert table[["age", "sex"]].values.tolist() == [[35.8, "F"], [38.78, "M"]]
    oasis_table(tmp_path / "oasis")
    table = find_cases(tmp_path / "oasis/oasis.csv").table
    assert table[["M/F", "Age"]].values.tolist() == [["F", 74], ["M", 55]]


def test_segments_of_slicer_that_are_numbered_otherwise_are_refused(tmp_path: Path) -> None:
    slicer(tmp_path)
    turned = {"Segment0_Name": "edema", "Segment1_Name": "tumour"}
    itk(tmp_path / "MRHead2.seg.nrrd", 1, 2, **turned,
        Segment0_LabelValue="1", Segment1_LabelValue="2")  # fmt: skip
    problems = check_cases(find_cases(tmp_path).cases)
    assert [p.severity for p in problems if "Numbers count and not names" in p.text] == ["error"]
    said = "calls 1 edema, 2 tumour, those of the other cases 1 tumour, 2 edema. Numbers count"
    assert said in problems[0].text


def test_segments_of_slicer_of_the_same_number_and_another_name(tmp_path: Path) -> None:
    slicer(tmp_path)
    itk(tmp_path / "MRHead2.seg.nrrd", 1, Segment0_Name="spleen", Segment0_LabelValue="1",
        Segment1_Name="tumour", Segment1_LabelValue="7")  # fmt: skip
    (problem,) = [p for p in check_cases(find_cases(tmp_path).cases) if p.severity == "error"]
    assert "calls 1 spleen, those of the other cases 1 tumour." in problem.text
