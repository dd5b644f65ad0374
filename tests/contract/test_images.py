"""What every format of images must do: round trip, and one clear sentence about a broken file."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.core.recording import check, image, spacing, volume
from neuroloom.core.registry import IMAGES
from neuroloom.io.images import peek_image, read_image, read_window, to_array, write_image
from tests.grids import OBLIQUE, phantom, write_dicom

RNG = np.random.default_rng(0)
STACK = volume(RNG.integers(0, 60000, (9, 11, 7)).astype(np.uint16), np.diag([0.2, 0.2, 0.5, 1.0]),
               ["grey"], unit="um")  # fmt: skip
PICTURE = image(RNG.integers(0, 255, (16, 21)).astype(np.uint8), channels=["grey"])
COLOURS = image(RNG.integers(0, 255, (3, 16, 21)).astype(np.uint8),
                channels=["red", "green", "blue"])  # fmt: skip
# What each format can hold, and whether it keeps it bit for bit.
CONTENT: dict[str, Any] = {
    ".nii": phantom(), ".nii.gz": phantom(1), ".img": phantom(2), ".hdr": phantom(3),
    ".mgz": phantom(4), ".mgh": phantom(5), ".nrrd": phantom(6), ".nhdr": phantom(7),
    ".mha": phantom(8), ".mhd": phantom(9), ".tif": STACK, ".tiff": STACK, ".ome.tif": STACK,
    ".png": PICTURE, ".jpg": PICTURE, ".jpeg": PICTURE, ".bmp": PICTURE, ".h5": STACK,
    ".hdf5": STACK, ".hdf": STACK, ".zarr": STACK, ".dcm": None, ".gif": PICTURE, ".ppm": PICTURE,
    ".pgm": PICTURE,
}  # fmt: skip
LOSSY = {".jpg", ".jpeg"}
KINDS = sorted(CONTENT)
# The voxels of these are in a second file.
PARTNER = {".hdr": ".img", ".nhdr": ".raw.gz", ".mhd": ".zraw"}


def make(folder: Path, kind: str) -> tuple[Path, Any]:
    path = folder / f"scan{kind}"
    if kind == ".dcm":
        write_dicom(folder / "series", np.full((1, 6, 5), 1100) + np.arange(5))
        next((folder / "series").iterdir()).replace(path)
        return path, None
    return write_image(path, CONTENT[kind]), CONTENT[kind]


def test_every_format_has_content() -> None:
    assert {Path("x" + kind.removesuffix(".gz")).suffix for kind in CONTENT} == set(IMAGES)


@pytest.mark.parametrize("kind", KINDS)
def test_round_trip(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, made = make(tmp_path, kind)
    found = read_image(path)
    check(found, found.attrs["kind"])
    assert found.attrs["source"] == path.name
    assert capfd.readouterr() == ("", "")
    if made is None:
        assert found.values[0, :, 0, 0].tolist() == [76, 77, 78, 79, 80]
        return
    assert found.shape == made.shape
    assert spacing(found) == pytest.approx(spacing(made), rel=1e-6)
    if kind in LOSSY:
        return
    np.testing.assert_array_equal(found.values, made.values)
    assert found.dtype == made.dtype
    if "affine" in made.attrs:
        np.testing.assert_allclose(found.affine, made.affine, atol=1e-5)
    assert found.attrs["unit"] == ("mm" if made.attrs["unit"] == "mm" else made.attrs["unit"])


@pytest.mark.parametrize("kind", KINDS)
def test_peek_says_what_read_gives(kind: str, tmp_path: Path) -> None:
    path, _ = make(tmp_path, kind)
    header, found = peek_image(path), read_image(path)
    assert header.shape == to_array(found).shape[1:]
    assert header.spacing == pytest.approx(spacing(found))
    assert header.kind == found.attrs["kind"]
    assert header.channels == tuple(found.channel.values)
    assert (header.unit, header.dtype) == (found.attrs["unit"], found.dtype.name)
    assert list(header.notes) == found.attrs["notes"]
    assert header.source == path.name
    if header.affine is not None:
        np.testing.assert_array_equal(header.affine, found.affine)


@pytest.mark.parametrize("kind", KINDS)
def test_window(kind: str, tmp_path: Path) -> None:
    path, _ = make(tmp_path, kind)
    whole = to_array(read_image(path))
    window = (slice(0, 3), slice(2, 6), slice(1, 5))[-(whole.ndim - 1) :]
    np.testing.assert_array_equal(read_window(path, window), whole[(slice(None), *window)])
    with pytest.raises(DataError, match="axes"):
        read_window(path, (slice(0, 1),))


@pytest.mark.parametrize("kind", KINDS)
def test_label_on_the_grid(kind: str, tmp_path: Path) -> None:
    path, _ = make(tmp_path, kind)
    if kind in LOSSY | {".dcm"}:
        pytest.skip("no labels are written so")
    like = read_image(path)
    label = (np.arange(like[0].size).reshape(to_array(like).shape[1:]) % 3).astype(np.int64)
    found = read_image(write_image(tmp_path / f"label{kind}", label, like=like))
    np.testing.assert_array_equal(to_array(found)[0], label)
    assert found.dtype == np.uint8
    if "affine" in like.attrs:
        np.testing.assert_array_equal(found.affine, like.affine)
    with pytest.raises(DataError, match="grid"):
        write_image(tmp_path / f"other{kind}", label[1:], like=like)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {".zarr", ".nii.gz"}])
def test_gz(kind: str, tmp_path: Path) -> None:
    if kind in {".img", *PARTNER}:
        pytest.skip("a pair of files; tests/io/test_nifti.py packs both")
    path, _ = make(tmp_path, kind)
    packed = tmp_path / f"packed{kind}.gz"
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    np.testing.assert_array_equal(read_image(packed).values, read_image(path).values)
    assert peek_image(packed).source == packed.name
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(DataError, match=rf"{packed.name}: not a whole gzip file"):
        read_image(packed)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != ".zarr"])
def test_truncated(kind: str, share: float, tmp_path: Path) -> None:
    path, _ = make(tmp_path, kind)
    bulk = tmp_path / f"scan{PARTNER[kind]}" if kind in PARTNER else path
    content = bulk.read_bytes()
    bulk.write_bytes(content[: max(int(len(content) * share) - 1, 1)])
    with pytest.raises(DataError) as caught:
        read_image(path)
    assert path.name in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != ".zarr"])
def test_empty(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"scan{kind}"
    path.touch()
    for door in (peek_image, read_image):
        with pytest.raises(DataError, match=rf"scan{kind}.*empty \(0 bytes\)"):
            door(path)


@pytest.mark.parametrize("content", [b"Dear diary,\nthe coil was warm.\n" * 40, b"\x7fELF" * 900])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != ".zarr"])
def test_wrong_extension(kind: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"scan{kind}"
    path.write_bytes(content)
    for door in (peek_image, read_image):
        with pytest.raises(DataError, match=rf"scan{kind}") as caught:
            door(path)
        assert len(str(caught.value)) < 600


def test_a_missing_file_and_an_unknown_suffix(tmp_path: Path) -> None:
    write_image(tmp_path / "brain.nii.gz", phantom())
    with pytest.raises(DataError, match=r"no such file or folder. Did you mean 'brain.nii.gz'"):
        read_image(tmp_path / "brian.nii.gz")
    (tmp_path / "notes.docx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"'\.docx' has no reader.*\.nii"):
        read_image(tmp_path / "notes.docx")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no DICOM files"):
        read_image(tmp_path / "empty")


def test_colours_come_back(tmp_path: Path) -> None:
    for kind in (".png", ".bmp", ".tif", ".ome.tif", ".zarr", ".h5", ".nrrd"):
        found = read_image(write_image(tmp_path / f"c{kind}", COLOURS))
        np.testing.assert_array_equal(found.values, COLOURS.values)


@pytest.mark.parametrize("kind", [".nii.gz", ".nrrd", ".mha", ".mgz", ".h5", ".zarr", ".tif"])
def test_several_channels_of_a_volume(kind: str, tmp_path: Path) -> None:
    data = RNG.normal(size=(2, 5, 6, 4)).astype(np.float32)
    found = read_image(write_image(tmp_path / f"v{kind}", volume(data, OBLIQUE)))
    np.testing.assert_array_equal(found.values, data)
    assert peek_image(tmp_path / f"v{kind}").shape == (4, 6, 5)


@pytest.mark.parametrize("kind", [".nrrd", ".mha", ".mgz", ".nii.gz"])
def test_micrometres_keep_their_length(kind: str, tmp_path: Path) -> None:
    path = write_image(tmp_path / f"s{kind}", STACK)
    np.testing.assert_allclose(peek_image(path).given_in("um").affine, STACK.affine, atol=1e-6)


@pytest.mark.parametrize("kind", [".mha", ".nrrd"])
def test_an_image_of_itk_keeps_its_place(kind: str, tmp_path: Path) -> None:
    import SimpleITK

    made = SimpleITK.GetImageFromArray(PICTURE.values[0])
    made.SetOrigin((10.0, 20.0))
    made.SetDirection((0.0, 1.0, -1.0, 0.0))
    made.SetSpacing((0.5, 0.25))
    SimpleITK.WriteImage(made, str(tmp_path / f"a{kind}"))
    like = read_image(tmp_path / f"a{kind}")
    write_image(tmp_path / f"label{kind}", PICTURE.values[0] > 9, like=like)
    again = SimpleITK.ReadImage(str(tmp_path / f"label{kind}"))
    for fact in ("Origin", "Direction", "Spacing"):
        assert getattr(again, f"Get{fact}")() == getattr(made, f"Get{fact}")()


def test_half_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two axes"):
        write_image(tmp_path / "x.png", phantom())
    assert not list(tmp_path.iterdir())
