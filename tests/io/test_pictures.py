"""PNG, TIFF, HDF5 and Zarr: what a viewer shows, sizes in their units, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image, ImageOps

from neuroloom.core.errors import DataError
from neuroloom.core.recording import image, spacing
from neuroloom.io.images import peek_image, read_image, read_window, write_image

GREY = np.random.default_rng(0).integers(0, 255, (6, 8)).astype(np.uint8)


def test_a_palette_shows_its_colours(tmp_path: Path) -> None:
    indices = np.arange(12, dtype=np.uint8).reshape(3, 4)
    made = Image.fromarray(indices, mode="P")
    colours = np.random.default_rng(1).integers(0, 255, (256, 3)).astype(np.uint8)
    made.putpalette(colours.ravel().tolist())
    made.save(tmp_path / "p.png")
    found = read_image(tmp_path / "p.png")
    np.testing.assert_array_equal(found.values, np.moveaxis(colours[indices], -1, 0))
    grey = np.repeat(np.arange(255, -1, -1, dtype=np.uint8)[:, None], 3, 1)
    made.putpalette(grey.ravel().tolist())
    made.save(tmp_path / "g.png")
    found = read_image(tmp_path / "g.png")
    np.testing.assert_array_equal(found.values[0], 255 - indices)
    assert found.shape == (1, 3, 4)


def test_modes_of_png(tmp_path: Path) -> None:
    Image.fromarray(GREY > 99).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_image(tmp_path / "bits.png").values[0], 255 * (GREY > 99))
    deep = GREY.astype(np.uint16) * 200
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert read_image(tmp_path / "deep.png").dtype == np.uint16
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png").values[0], deep)
    Image.fromarray(np.stack([GREY] * 3, -1)).save(tmp_path / "rgb.png")
    found = read_image(tmp_path / "rgb.png")
    assert found.shape == (1, 6, 8)
    assert "grey" in found.attrs["notes"][0]
    clear = np.stack([GREY, GREY, 255 - GREY, np.full_like(GREY, 255)], -1)
    Image.fromarray(clear).save(tmp_path / "rgba.png")
    assert list(read_image(tmp_path / "rgba.png").channel.values) == ["red", "green", "blue"]
    Image.fromarray(GREY).convert("LA").save(tmp_path / "la.png")
    np.testing.assert_array_equal(read_image(tmp_path / "la.png").values, GREY[None])


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_colours_of_16_bits_keep_them(channels: int, tmp_path: Path) -> None:
    """Pillow has no such mode and would halve them."""
    deep = (np.arange(6 * 8 * channels).reshape(6, 8, channels) * 85).astype(np.uint16)
    (tmp_path / "deep.png").write_bytes(imagecodecs.png_encode(deep))
    found = read_image(tmp_path / "deep.png")
    expected = deep[..., [0, 0, 0, 1]] if channels == 2 else deep
    np.testing.assert_array_equal(found.values, np.moveaxis(expected, -1, 0))
    header = peek_image(tmp_path / "deep.png")
    assert (header.shape, header.dtype, len(header.channels)) == ((6, 8), "uint16", len(found))


@pytest.mark.parametrize("way", range(1, 9))
@pytest.mark.parametrize(("name", "deep"), [("a.png", 1), ("a.jpg", 1), ("c.png", 3)])
def test_what_the_camera_held_turned_is_upright(
    name: str, deep: int, way: int, tmp_path: Path
) -> None:
    steps = np.kron(np.arange(6).reshape(2, 3) * 40, np.ones((16, 16))).astype(np.uint8)
    made = Image.fromarray(steps if deep == 1 else np.stack([steps, steps // 2, steps], -1))
    exif = Image.Exif()
    exif[274] = way
    made.save(tmp_path / name, exif=exif)
    with Image.open(tmp_path / name) as opened:
        shown = np.asarray(ImageOps.exif_transpose(opened)).reshape(-1)
    found = read_image(tmp_path / name)
    np.testing.assert_array_equal(np.moveaxis(found.values, 0, -1).reshape(-1), shown)
    header = peek_image(tmp_path / name)
    assert header.shape == found.shape[1:]
    assert list(header.notes) == found.attrs["notes"]
    assert ("upright" in " ".join(header.notes)) is (way > 1)
    assert found.shape[1:] == ((48, 32) if way > 4 else (32, 48))


def test_a_fraction_is_no_png(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"0 to 65535.*write \.tif"):
        write_image(tmp_path / "x.png", image(GREY / 3.0))


@pytest.mark.parametrize(
    ("unit", "step", "expected"),
    [
        ("micron", 0.25, ((0.5, 0.25, 0.25), "um")),
        ("um", 0.25, ((0.5, 0.25, 0.25), "um")),
        ("\\u00B5m", 0.25, ((0.5, 0.25, 0.25), "um")),
        ("nm", 4.0, ((0.0005, 0.004, 0.004), "um")),
        ("mm", 0.125, ((0.5, 0.125, 0.125), "mm")),
        ("furlong", 0.25, ((1.0, 1.0, 1.0), "px")),
    ],
)
def test_sizes_of_imagej(unit: str, step: float, expected: object, tmp_path: Path) -> None:
    stack = np.zeros((3, 5, 4), np.uint16)
    facts = {"axes": "ZYX", "unit": unit, "spacing": 0.5}
    resolution = (1 / step, 1 / step)
    tifffile.imwrite(tmp_path / "s.tif", stack, imagej=True, resolution=resolution, metadata=facts)
    found = read_image(tmp_path / "s.tif")
    sizes, wanted = expected  # type: ignore[misc]
    assert found.attrs["unit"] == wanted
    assert spacing(found) == pytest.approx(sizes)
    assert found.shape == (1, 4, 5, 3)


def test_sizes_of_ome(tmp_path: Path) -> None:
    facts = {"axes": "CZYX", "PhysicalSizeX": 100.0, "PhysicalSizeXUnit": "nm",
             "PhysicalSizeY": 0.2, "PhysicalSizeYUnit": "µm", "PhysicalSizeZ": 0.001,
             "PhysicalSizeZUnit": "mm"}  # fmt: skip
    data = np.random.default_rng(0).integers(0, 99, (2, 3, 5, 4)).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "s.ome.tif", data, ome=True, metadata=facts, photometric="minisblack"
    )
    found = read_image(tmp_path / "s.ome.tif")
    assert spacing(found) == pytest.approx((1.0, 0.2, 0.1))
    assert found.attrs["unit"] == "um"
    np.testing.assert_array_equal(found.values, data.transpose(0, 3, 2, 1))


@pytest.mark.parametrize("options", [{"compression": "zlib"}, {"compression": "lzw"},
                                     {"bigtiff": True}, {"tile": (16, 16)}])  # fmt: skip
def test_ways_to_pack_a_tiff(options: dict[str, object], tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 99, (4, 32, 48)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "p.tif", data, photometric="minisblack", **options)  # type: ignore[arg-type]
    found = read_image(tmp_path / "p.tif")
    np.testing.assert_array_equal(found.values[0].T, data)
    window = (slice(1, 3), slice(5, 20), slice(7, 9))
    np.testing.assert_array_equal(read_window(tmp_path / "p.tif", window)[0], data[window])


def test_dots_an_inch_are_not_believed(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "d.tif", GREY, resolution=(72, 72), resolutionunit="INCH")
    assert read_image(tmp_path / "d.tif").attrs["unit"] == "px"
    tifffile.imwrite(tmp_path / "c.tif", GREY, resolution=(1e5, 5e4), resolutionunit="CENTIMETER")
    found = read_image(tmp_path / "c.tif")
    assert found.attrs["spacing"] == pytest.approx((0.2, 0.1))


def test_a_film_is_refused(tmp_path: Path) -> None:
    data = np.zeros((2, 3, 5, 4), np.uint16)
    tifffile.imwrite(tmp_path / "f.tif", data, imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(DataError, match=r"f\.tif.*several times"):
        read_image(tmp_path / "f.tif")


@pytest.mark.parametrize("name", ["shapes.tif", "positions.ome.tif"])
def test_a_tiff_of_several_images_is_refused(name: str, tmp_path: Path) -> None:
    second = GREY if ".ome." in name else GREY[:5]
    with tifffile.TiffWriter(tmp_path / name) as file:
        file.write(GREY, photometric="minisblack")
        file.write(second, photometric="minisblack")
    for read in (read_image, peek_image):
        with pytest.raises(DataError, match="holds 2 images, of .* a file of its own"):
            read(tmp_path / name)


def test_the_finest_level_of_a_tiff_is_read(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "levels.tif") as file:
        file.write(GREY, photometric="minisblack", metadata=None)
        file.write(GREY[:3, :5], photometric="minisblack", metadata=None, subfiletype=1)
    np.testing.assert_array_equal(read_image(tmp_path / "levels.tif").values[0], GREY)


def test_datasets_of_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "v.h5"
    data = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)
    with h5py.File(path, "w") as file:
        file["volumes/raw"] = data
        file["volumes/raw"].attrs["element_size_um"] = [0.5, 0.1, 0.2]
        file["times"] = np.arange(9)
    found = read_image(path)
    np.testing.assert_array_equal(found.values[0], data.T)
    assert spacing(found) == (0.5, 0.1, 0.2)
    with h5py.File(path, "a") as file:
        file["volumes/label"] = np.zeros((3, 5, 4), np.uint8)
    with pytest.raises(DataError, match=r"holds 2 arrays: .*volumes/raw \(3, 5, 4\).*v\.h5::"):
        read_image(path)
    assert read_image(f"{path}::volumes/label").dtype == np.uint8
    assert peek_image(f"{path}::volumes/raw").source == "v.h5::volumes/raw"
    with pytest.raises(DataError, match=r"no image called 'raw'"):
        read_image(f"{path}::raw")


def test_channels_of_an_image_in_hdf5(tmp_path: Path) -> None:
    made = image(np.stack([GREY, GREY // 2]), (0.5, 0.25), "um")
    path = write_image(tmp_path / "a.h5", made)
    found, header = read_image(path), peek_image(path)
    np.testing.assert_array_equal(found.values, made.values)
    assert (spacing(found), found.attrs["unit"]) == ((0.5, 0.25), "um")
    assert (header.shape, header.spacing) == ((6, 8), (0.5, 0.25))
    window = (slice(1, 4), slice(2, 7))
    np.testing.assert_array_equal(read_window(path, window), made.values[:, 1:4, 2:7])


def test_other_byte_order_in_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "b.h5"
    with h5py.File(path, "w") as file:
        file["image"] = GREY.astype(">u2")
    window = read_window(path, (slice(0, 6), slice(0, 8)))
    for array in (read_image(path).values, window):
        assert array.dtype.str == np.dtype(np.uint16).str
        np.testing.assert_array_equal(array[0], GREY)
    assert peek_image(path).dtype == "uint16"


def test_zarr_stores(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 99, (6, 5, 4)).astype(np.uint16)
    plain = zarr.open_array(str(tmp_path / "a.zarr"), mode="w", shape=data.shape, dtype=data.dtype)
    plain[...] = data
    np.testing.assert_array_equal(read_image(tmp_path / "a.zarr").values[0].T, data)
    group = zarr.open_group(str(tmp_path / "g.zarr"), mode="w")
    for name in ("0", "1"):
        level = group.create_array(name, shape=(1, 2, *data.shape), dtype=data.dtype)
        level[0, 1] = data[:: int(name) + 1] if name == "0" else 0
    axes = [{"name": name, "type": "space", "unit": "nanometer"} for name in "tczyx"]
    scale = [{"type": "scale", "scale": [1, 1, 500, 100, 200]}]
    facts = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": facts}
    found = read_image(tmp_path / "g.zarr")
    np.testing.assert_array_equal(found.values[1].T, data)
    assert spacing(found) == pytest.approx((0.5, 0.1, 0.2))
    assert peek_image(tmp_path / "g.zarr").shape == (6, 5, 4)
    window = (slice(1, 3), slice(0, 5), slice(2, 4))
    np.testing.assert_array_equal(read_window(tmp_path / "g.zarr", window)[1], data[window])
    del group.attrs["ome"]
    with pytest.raises(DataError, match=r"holds 2 arrays.*g\.zarr::"):
        read_image(tmp_path / "g.zarr")
    assert read_image(f"{tmp_path / 'g.zarr'}::0").shape[0] == 2
    (tmp_path / "bad.zarr").mkdir()
    with pytest.raises(DataError, match=r"bad\.zarr.*no Zarr"):
        read_image(tmp_path / "bad.zarr")


def write_raw(store: Path, images: tuple[str, ...], data: np.ndarray) -> Path:
    """Write images as bioformats2raw does: each of two levels, with labels, in its group."""
    root = zarr.open_group(str(store), mode="w")
    root.attrs["bioformats2raw.layout"] = 3
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    for name in images:
        group = root.create_group(name)
        levels: list[dict[str, object]] = []
        for number in (0, 1):
            level = group.create_array(str(number), shape=data.shape, dtype=data.dtype)
            level[...] = data
            scale = {"type": "scale", "scale": [1.0, 2.0**number, 2.0**number]}
            move = {"type": "translation", "translation": [0.0, number / 2, number / 2]}
            changes = [scale, move] if number else [scale]
            levels.append({"path": str(number), "coordinateTransformations": changes})
        whole = [
            {"type": "scale", "scale": [0.5, 0.1, 0.2]},
            {"type": "translation", "translation": [7.0, 8.0, 9.0]},
        ]
        facts = {"axes": axes, "datasets": levels, "coordinateTransformations": whole}
        group.attrs["multiscales"] = [facts]
        mask = group.create_group("labels").create_group("cells")
        mask.create_array("0", shape=data.shape, dtype=data.dtype)
        mask.attrs["multiscales"] = [{"axes": axes, "datasets": levels[:1]}]
    return store


def test_an_image_of_bioformats2raw_has_its_sizes_and_its_place(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 99, (3, 5, 4)).astype(np.uint16)
    store = write_raw(tmp_path / "raw.zarr", ("0",), data)
    found = read_image(store)
    np.testing.assert_array_equal(found.values[0].T, data)
    assert spacing(found) == pytest.approx((0.5, 0.1, 0.2))
    np.testing.assert_allclose(found.attrs["affine"][:3, 3], [9.0, 8.0, 7.0])
    coarse = peek_image(f"{store}::0/1")
    assert coarse.spacing == pytest.approx((0.5, 0.2, 0.4))
    assert coarse.affine is not None
    np.testing.assert_allclose(coarse.affine[:3, 3], [9.1, 8.05, 7.0])
    again = read_image(write_image(tmp_path / "label.zarr", data, like=found))
    np.testing.assert_allclose(again.attrs["affine"], found.attrs["affine"])
    several = write_raw(tmp_path / "two.zarr", ("0", "1"), data)
    with pytest.raises(DataError, match=r"holds 2 images: 0, 1; pick one, 'two\.zarr::0'"):
        read_image(several)


def test_the_place_of_a_picture_in_zarr_comes_back(tmp_path: Path) -> None:
    made = image(GREY, (0.2, 0.1), "um")
    made.attrs["origin"] = (3.0, 4.0)
    found = read_image(write_image(tmp_path / "p.zarr", made))
    again = read_image(write_image(tmp_path / "l.zarr", GREY, like=found))
    assert tuple(again.attrs["origin"]) == (3.0, 4.0)


def test_what_zarr_writes_is_ngff(tmp_path: Path) -> None:
    made = image(GREY, (0.2, 0.1), "um")
    write_image(tmp_path / "w.zarr", made)
    facts = json.loads((tmp_path / "w.zarr" / ".zattrs").read_text())["multiscales"][0]
    assert [axis["name"] for axis in facts["axes"]] == ["y", "x"]
    assert facts["datasets"][0]["coordinateTransformations"][0]["scale"] == [0.2, 0.1]


def test_a_fourth_channel_is_alpha_only_where_the_tags_say_so(tmp_path: Path) -> None:
    """Four stains of a fluorescence microscope are no colours."""
    stains = np.stack([GREY, GREY // 2, GREY // 3, np.full_like(GREY, 255)])
    shown = np.moveaxis(stains, 0, -1)
    tifffile.imwrite(tmp_path / "rgba.tif", shown, photometric="rgb", extrasamples=["unassalpha"])
    assert read_image(tmp_path / "rgba.tif").channel.values.tolist() == ["red", "green", "blue"]
    tifffile.imwrite(tmp_path / "more.tif", shown, photometric="rgb", extrasamples=["unspecified"])
    tifffile.imwrite(tmp_path / "i.tif", stains, imagej=True, metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "o.ome.tif", stains, photometric="minisblack")
    for name in ("more.tif", "i.tif", "o.ome.tif"):
        np.testing.assert_array_equal(read_image(tmp_path / name).values, stains)
        assert peek_image(tmp_path / name).channels == ("0", "1", "2", "3")
