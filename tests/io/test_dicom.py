"""DICOM: sorted by place, rescaled, gaps named, and nothing about the patient comes out."""

from __future__ import annotations

import traceback
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK

from neuroloom.core.errors import DataError
from neuroloom.core.recording import spacing
from neuroloom.io.images import peek_image, read_image, to_array, write_image
from neuroloom.io.images.dicom_seg import write_seg
from tests.grids import BORN, identify, write_dicom

VOXELS = np.random.default_rng(0).integers(0, 4000, (7, 6, 5)).astype(np.uint16)
SECRETS = ("Mustermann", "Erika", "PID-4711", BORN, "A-4711", "234711", "062Y", "20260101")


def blank(file: Path, change: object) -> None:
    data = pydicom.dcmread(file)
    change(data)  # type: ignore[operator]
    data.save_as(file)


def test_a_series_as_simpleitk_reads_it(tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "ct", VOXELS)
    found = read_image(folder)
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    theirs = SimpleITK.ReadImage(names)
    np.testing.assert_array_equal(to_array(found)[0], SimpleITK.GetArrayFromImage(theirs))
    np.testing.assert_array_equal(to_array(found)[0], VOXELS.astype(int) - 1024)
    assert found.dtype == np.int16
    assert spacing(found) == pytest.approx((2.5, 0.7, 0.8))
    place = found.attrs["affine"] @ [2, 3, 4, 1]
    there = theirs.TransformIndexToPhysicalPoint((2, 3, 4))
    np.testing.assert_allclose(place[:3] * [-1, -1, 1], there, atol=1e-6)
    header = peek_image(folder)
    assert (header.shape, header.dtype) == ((7, 6, 5), "int16")
    assert np.array_equal(header.affine, found.attrs["affine"])


def test_fractions_of_scale_become_floats(tmp_path: Path) -> None:
    found = read_image(write_dicom(tmp_path / "pt", VOXELS, slope=0.25, intercept=0.0))
    assert found.dtype == np.float32
    np.testing.assert_allclose(to_array(found)[0], VOXELS * 0.25)


@pytest.mark.parametrize(
    ("tag", "kind"), [("FloatPixelData", np.float32), ("DoubleFloatPixelData", np.float64)]
)
def test_maps_of_fractions(tag: str, kind: type, tmp_path: Path) -> None:
    folder, made = write_dicom(tmp_path / "map", VOXELS, intercept=0.0), {}
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        values = (data.pixel_array / 4000).astype(kind)
        setattr(data, tag, values.tobytes())
        data.BitsAllocated = values.itemsize * 8
        for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
            delattr(data, name)
        data.save_as(file)
        made[float(data.ImagePositionPatient[2])] = values
    found = read_image(folder)
    assert (found.dtype, peek_image(folder).dtype) == (kind, np.dtype(kind).name)
    np.testing.assert_array_equal(to_array(found)[0], [made[z] for z in sorted(made)])


def test_files_beside_the_series(tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "ct", VOXELS)
    (folder / "readme.txt").write_text("hello")
    assert "1 files" in read_image(folder).attrs["notes"][0]


def test_several_series_are_listed(tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "ct", VOXELS)
    write_dicom(folder, VOXELS[:3], series=2)
    with pytest.raises(DataError) as caught:
        read_image(folder)
    said = str(caught.value)
    assert "series 1 (CT, 7 files of 5 x 6" in said
    assert "series 2 (CT, 3 files" in said
    assert not any(secret in said for secret in SECRETS)
    assert read_image(f"{folder}::2").shape == (1, 5, 6, 3)
    with pytest.raises(DataError, match="no series 9"):
        read_image(f"{folder}::9")


def test_a_tilted_gantry_is_said_and_a_voxel_has_its_volume(tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "ct", VOXELS)
    for file in folder.iterdir():
        blank(file, tilt)
    header, found = peek_image(folder), read_image(folder)
    assert header.spacing[0] == pytest.approx(2.5 / np.cos(0.3))
    assert header.voxel == pytest.approx(2.5 * 0.7 * 0.8)
    assert "not at right angles, by 17 degrees" in header.notes[0]
    assert tuple(found.attrs["notes"]) == header.notes
    again = peek_image(write_image(tmp_path / "a.nii.gz", found))
    assert (again.notes, again.voxel) == (header.notes, pytest.approx(header.voxel))


def tilt(data: pydicom.Dataset) -> None:
    """Let each slice lie beside the last, as in a CT whose gantry is tilted by 0.3."""
    x, y, z = data.ImagePositionPatient
    data.ImagePositionPatient = [x, round(float(y) + float(z) * np.tan(0.3), 9), z]


def test_an_x_ray_that_is_stored_inverted_is_seen_as_in_a_viewer(tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "dx", VOXELS[:1], intercept=0.0)
    file = next(folder.iterdir())
    blank(file, flat)
    dark = read_image(file)
    blank(file, lambda data: setattr(data, "PhotometricInterpretation", "MONOCHROME1"))
    found = read_image(file)
    np.testing.assert_array_equal(found, 4095 - dark)
    assert found.dtype == dark.dtype
    assert "inverted" in found.attrs["notes"][0]
    assert peek_image(file).notes == tuple(found.attrs["notes"])


def flat(data: pydicom.Dataset) -> None:
    """Take the place in space away, which an X-ray does not have."""
    del data.ImagePositionPatient, data.ImageOrientationPatient


def test_two_series_of_one_number_are_told_apart(tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "ct", VOXELS)
    write_dicom(folder, VOXELS[:3], series=2)
    for file in folder.glob("s2_*"):
        blank(file, number_one_of_a_year_before)
    with pytest.raises(DataError, match=r"2 series have the number 1: series 1\.2 \(CT, 7 files"):
        read_image(f"{folder}::1")
    with pytest.raises(DataError, match=r"pick one: 'ct::1\.2'"):
        read_image(folder)
    assert [read_image(f"{folder}::1.{k}").sizes["z"] for k in (1, 2)] == [3, 7]


def number_one_of_a_year_before(data: pydicom.Dataset) -> None:
    """Make a series the first of a visit before."""
    data.SeriesNumber, data.StudyDate = 1, "20250101"


def test_a_missing_slice(tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "ct", VOXELS)
    middle = next(f for f in folder.iterdir() if pydicom.dcmread(f).InstanceNumber == 4)
    middle.unlink()
    for door in (peek_image, read_image):
        with pytest.raises(DataError, match=r"5 mm, elsewhere 2\.5 mm: 1 slices are missing"):
            door(folder)


def test_a_copy_and_a_scout(tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "ct", VOXELS)
    one = next(folder.iterdir())
    (folder / "copy.dcm").write_bytes(one.read_bytes())
    with pytest.raises(DataError, match="at the same place"):
        read_image(folder)
    blank(folder / "copy.dcm", lambda d: setattr(d, "ImageOrientationPatient", [1, 0, 0, 0, 0, -1]))
    with pytest.raises(DataError, match="scout"):
        read_image(folder)


def test_a_multiframe_file_is_the_same_volume(tmp_path: Path) -> None:
    import highdicom

    folder = write_dicom(tmp_path / "ct", VOXELS, intercept=0.0)
    single = read_image(folder)
    label = (to_array(single)[0] > 2000).astype(np.uint8)
    path = write_seg(tmp_path / "seg.dcm", label, folder, {1: "bright"})
    assert highdicom.seg.segread(path).number_of_segments == 1
    frames = read_image(path)
    kept = label.any((1, 2))
    assert kept.all()
    np.testing.assert_array_equal(to_array(frames)[0], label)
    np.testing.assert_allclose(frames.attrs["affine"], single.attrs["affine"], atol=1e-6)


def test_a_segmentation_of_two_classes(tmp_path: Path) -> None:
    import highdicom

    folder = write_dicom(tmp_path / "ct", VOXELS)
    label = np.zeros(VOXELS.shape, int)
    label[1:3, 2:4] = 1
    label[4, :, 1] = 3
    path = write_seg(tmp_path / "seg.dcm", label, folder, {1: "liver", 3: "tumour"})
    seg = highdicom.seg.segread(path)
    assert [str(seg.get_segment_description(n).segment_label) for n in (1, 2)] == [
        "liver",
        "tumour",
    ]
    order = [pydicom.dcmread(f) for f in folder.iterdir()]
    order.sort(key=lambda d: d.ImagePositionPatient[2])
    uids = [d.SOPInstanceUID for d in order]
    numbers = seg.get_pixels_by_source_instance(
        uids, combine_segments=True, assert_missing_frames_are_empty=True
    )
    np.testing.assert_array_equal(numbers, np.where(label == 3, 2, label))
    assert seg.StudyInstanceUID == order[0].StudyInstanceUID
    assert seg.FrameOfReferenceUID == order[0].FrameOfReferenceUID


def test_what_a_segmentation_refuses(tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "ct", VOXELS)
    label = np.ones(VOXELS.shape, int)
    with pytest.raises(DataError, match=r"the label holds \[1\], declared are \[2\]"):
        write_seg(tmp_path / "s.dcm", label, folder, {2: "liver"})
    with pytest.raises(DataError, match=r"the series is \(7, 6, 5\), the label \(6, 6, 5\)"):
        write_seg(tmp_path / "s.dcm", label[1:], folder, {1: "liver"})
    assert not (tmp_path / "s.dcm").exists()


def test_an_empty_segmentation_says_that_nothing_was_found(tmp_path: Path) -> None:
    import highdicom

    folder = write_dicom(tmp_path / "ct", VOXELS)
    write_dicom(folder, VOXELS[:3], series=2)
    series = Path(f"{folder}::1")
    nothing = np.zeros(VOXELS.shape, int)
    path = write_seg(tmp_path / "seg.dcm", nothing, series, {1: "Läsion", 2: "病変"})
    seg = highdicom.seg.segread(path)
    assert [seg.get_segment_description(n).segment_label for n in (1, 2)] == ["Läsion", "病変"]
    assert (seg.NumberOfFrames, seg.pixel_array.any()) == (2, False)
    assert len(seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 7
    found = read_image(series).attrs["affine"] @ [0, 0, 0, 1]
    place = seg.get_volume(combine_segments=True).get_affine("RAS")[:3, 3]
    np.testing.assert_allclose(place, found[:3])


def test_a_segmentation_over_a_file_with_many_frames(tmp_path: Path) -> None:
    label = (VOXELS > 2000).astype(np.uint8)
    folder = write_dicom(tmp_path / "ct", VOXELS)
    frames = write_seg(tmp_path / "frames.dcm", label, folder, {1: "bright"})
    shifted = np.roll(label, 1, 0)
    found = read_image(write_seg(tmp_path / "seg.dcm", shifted, frames, {1: "shifted"}))
    np.testing.assert_array_equal(to_array(found)[0], shifted)
    np.testing.assert_allclose(found.attrs["affine"], read_image(folder).attrs["affine"], atol=1e-6)
    nothing = read_image(write_seg(tmp_path / "none.dcm", 0 * label, frames, {1: "none"}))
    assert (nothing.shape, bool(nothing.any())) == ((1, 5, 6, 1), False)


def test_a_segmentation_over_slices_that_do_not_say_all(tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "ct", VOXELS)
    for file in folder.iterdir():
        for name in ("FrameOfReferenceUID", "SliceThickness"):
            blank(file, lambda data, name=name: delattr(data, name))
    label = (VOXELS > 2000).astype(np.uint8)
    found = read_image(write_seg(tmp_path / "seg.dcm", label, folder, {1: "bright"}))
    np.testing.assert_array_equal(to_array(found)[0], label)


def said_with_each_frame(data: pydicom.Dataset) -> None:
    """Move what all frames share to each of them, as Philips writes enhanced MR."""
    shared = data.SharedFunctionalGroupsSequence[0]
    for name in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        for frame in data.PerFrameFunctionalGroupsSequence:
            setattr(frame, name, shared[name].value)
        delattr(shared, name)


def test_a_segmentation_over_frames_that_each_say_how_they_lie(tmp_path: Path) -> None:
    label = (VOXELS > 2000).astype(np.uint8)
    folder = write_dicom(tmp_path / "ct", VOXELS)
    frames = write_seg(tmp_path / "frames.dcm", label, folder, {1: "bright"})
    blank(frames, said_with_each_frame)
    found = read_image(write_seg(tmp_path / "seg.dcm", label, frames, {1: "bright"}))
    np.testing.assert_array_equal(to_array(found)[0], label)
    np.testing.assert_allclose(found.attrs["affine"], read_image(frames).attrs["affine"], atol=1e-6)


def test_a_segmentation_over_slices_turned_by_a_last_digit(tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "ct", VOXELS)
    turned = [1, 0.00001, 0, -0.00001, 1, 0]
    blank(next(folder.iterdir()), lambda d: setattr(d, "ImageOrientationPatient", turned))
    label = (VOXELS > 2000).astype(np.uint8)
    found = read_image(write_seg(tmp_path / "seg.dcm", label, folder, {1: "bright"}))
    np.testing.assert_array_equal(to_array(found)[0], label)


def test_a_segmentation_that_the_headers_do_not_allow_is_said(tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "ct", VOXELS)
    for file in folder.iterdir():
        blank(file, lambda data: delattr(data, "StudyInstanceUID"))
    with pytest.raises(DataError, match=r"seg\.dcm: the headers of the series lack"):
        write_seg(tmp_path / "seg.dcm", np.ones(VOXELS.shape, int), folder, {1: "bright"})


def test_the_patient_stays_where_they_are(tmp_path: Path) -> None:
    folder = identify(write_dicom(tmp_path / "ct", VOXELS))
    assert all(b"Mustermann" in file.read_bytes() for file in folder.iterdir())
    found = read_image(folder)
    said = repr(found) + repr(found.attrs) + repr(peek_image(folder))
    outputs = [
        write_image(tmp_path / name, found) for name in ("a.nii.gz", "a.nii", "a.nrrd", "a.tif")
    ]
    label = (to_array(found)[0] > 0).astype(np.uint8)
    for name, drawn in (("seg.dcm", label), ("none.dcm", 0 * label)):
        outputs.append(write_seg(tmp_path / name, drawn, folder, {1: "dense"}))
    written = b"".join(path.read_bytes() for path in outputs)
    assert not any(secret in said for secret in SECRETS)
    assert not any(secret.encode() in written for secret in SECRETS)


def test_errors_do_not_quote_tags(tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "ct", VOXELS)
    file = sorted(folder.iterdir())[0]
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError) as caught:
        read_image(folder)
    assert file.name in str(caught.value)
    told = "".join(traceback.format_exception(caught.value))
    assert not any(secret in told for secret in SECRETS)
