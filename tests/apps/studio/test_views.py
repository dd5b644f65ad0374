"""Viewers: a window shows what is in the file; a file that may not be read stays shut."""

from __future__ import annotations

import io
import itertools
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from neuroloom.apps.studio import views
from neuroloom.apps.studio.views.signal import envelope
from neuroloom.apps.studio.views.volume import VolumeView, canonical
from neuroloom.io.recordings.reader import read
from neuroloom.io.tracks import read_tracks
from neuroloom.io.video import Video
from tests.animals import write_clip
from tests.apps.studio.conftest import message
from tests.makers import recording, write

WINDOW = "/api/view/{}/window"


def get(client, kind: str, path: str, **asked):
    return client.get(WINDOW.format(kind), params={"path": path, **asked})


def pixels(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


@pytest.fixture
def trace(place):
    write(recording(0, trials=14, channels=["Fz", "Cz", "Pz"]), place.uploads / "rest.edf")
    return "uploads/rest.edf"


@pytest.fixture
def brain(place):
    values = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    affine = np.array([[0, 0, 1.5, 0], [-2.0, 0, 0, 0], [0, 3.0, 0, 0], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(values, affine), place.uploads / "t1.nii.gz")
    nib.save(nib.Nifti1Image((values > 90).astype(np.uint8), affine), place.uploads / "mask.nii.gz")
    return "uploads/t1.nii.gz", values


def test_traces_are_those_of_the_file(client, trace, place):
    head = client.get("/api/view/signal", params={"path": trace}).json()
    assert head["channels"] == ["Fz", "Cz", "Pz"]
    assert head["duration"] == pytest.approx(30.0)
    asked = {"start": 8.5, "seconds": 4, "width": 4000, "picks": "2,0"}
    content = get(client, "signal", trace, **asked).content
    rows, columns = np.frombuffer(content, "<i4", 2)
    start, seconds = np.frombuffer(content, "<f4", 2, 8)
    values = np.frombuffer(content, "<f4", offset=16).reshape(rows, columns, 2)
    assert (rows, columns, start, seconds) == (2, round(4 * head["rate"]), 8.5, 4.0)
    # two chunks of ten seconds are put together without a seam
    true = read(place.uploads / "rest.edf", 8.5, 12.5).values[[2, 0]]
    true = true - np.median(true, axis=1, keepdims=True)
    np.testing.assert_allclose(values[..., 0], true, atol=1e-9)


def test_a_wide_window_keeps_every_peak():
    values = np.random.default_rng(0).normal(size=(2, 10_000))
    values[1, 7777] = 50
    out = envelope(values, 300)
    assert out.shape == (2, 300, 2)
    assert out[1].max() == 50
    assert out[0].min() == values[0].min()


def test_another_reference_is_taken_off(client, trace):
    asked = {"start": 0, "seconds": 1, "width": 4000, "picks": "0,1", "lead": "Cz"}
    content = get(client, "signal", trace, **asked).content
    values = np.frombuffer(content, "<f4", offset=16).reshape(2, -1, 2)
    assert np.abs(values[1]).max() == 0
    assert np.abs(values[0]).max() > 0
    assert "Did you mean 'Cz'?" in message(get(client, "signal", trace, lead="Czz"))


@pytest.mark.parametrize(
    "asked", [{"picks": "0,9"}, {"picks": "a"}, {"start": "nan"}, {"seconds": "x"}]
)
def test_windows_that_mean_nothing_are_refused(client, trace, asked):
    assert get(client, "signal", trace, **asked).status_code == 422


def test_slices_lie_as_the_affine_says(client, brain):
    path, values = brain
    head = client.get("/api/view/volume", params={"path": path}).json()
    # array axes (0, 1, 2) point to the back, up and right: x is axis 2, y axis 0 turned, z axis 1
    assert head["shape"] == [6, 4, 5]
    assert head["spacing"] == [1.5, 2.0, 3.0]
    shown = pixels(get(client, "volume", path, axis="z", index=1, low=0, high=255))
    np.testing.assert_array_equal(shown, values[:, 1, :])
    shown = pixels(get(client, "volume", path, axis="x", index=2, low=0, high=255))
    np.testing.assert_array_equal(shown, values[::-1, ::-1, 2].T)
    found = get(client, "volume", path, what="value", x=2, y=3, z=1).json()
    assert found == {"at": [2, 3, 1], "value": float(values[0, 1, 2])}


@pytest.mark.parametrize(
    ("order", "signs"),
    itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)),
)
def test_every_orientation_is_nibabels_canonical_one(order, signs):
    values = np.arange(24).reshape(2, 3, 4)
    affine = np.eye(4)
    affine[:3, :3] = np.diag(signs)[:, order] * 1.0
    image = nib.Nifti1Image(values.astype(np.int32), affine)
    true = np.asarray(nib.as_closest_canonical(image).dataobj)
    turned, _ = canonical(values[None], affine, (1.0, 1.0, 1.0))
    np.testing.assert_array_equal(turned[0], true)


def test_a_mask_is_painted_where_it_is(client, brain):
    path, values = brain
    asked = {"axis": "z", "index": 4, "low": 0, "high": 255}
    plain = pixels(get(client, "volume", path, **asked))
    over = pixels(get(client, "volume", path, **asked, overlay="uploads/mask.nii.gz", opacity=1))
    np.testing.assert_array_equal((over != plain[..., None]).any(-1), values[:, 4, :] > 90)


def test_a_slice_with_a_mask_takes_the_memory_of_a_slice(tmp_path):
    """Of the mask as of the image: it was made eight times as large as a whole, for each slice."""
    for name in ("t1", "mask"):
        values = np.zeros((100, 120, 80), np.uint8)
        nib.save(nib.Nifti1Image(values, np.diag([-1.0, 1, -1, 1])), tmp_path / f"{name}.nii")
    view, asked = VolumeView(), {"axis": "x", "overlay": str(tmp_path / "mask.nii")}
    first = view.window(tmp_path / "t1.nii", asked).content
    tracemalloc.start()
    assert view.window(tmp_path / "t1.nii", asked).content == first
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < values.nbytes


def test_a_mask_of_another_grid_is_refused_by_name(client, brain, place):
    other = nib.Nifti1Image(np.zeros((4, 5, 7), np.uint8), np.eye(4))
    nib.save(other, place.uploads / "other.nii.gz")
    answer = get(client, "volume", brain[0], overlay="uploads/other.nii.gz")
    assert answer.status_code == 422
    assert "no image and mask of one grid" in message(answer)


def test_a_second_file_is_no_way_out_of_the_workspace(client, brain, tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), np.uint8), np.eye(4)), tmp_path / "secret.nii")
    for path in ("../secret.nii", str(tmp_path / "secret.nii"), "uploads/../../secret.nii"):
        assert get(client, "volume", brain[0], overlay=path).status_code in (403, 404)


def test_frames_and_points_are_those_of_the_files(client, place):
    folder = write_clip(place.uploads / "clip")
    path, tracks = "uploads/clip/arena.mp4", "uploads/clip/arenaDLC_net.h5"
    head = client.get("/api/view/video", params={"path": path}).json()
    with Video(folder / "arena.mp4") as video:
        assert head["frames"] == len(video)
        true = video.read([7])[0].astype(float)
    shown = pixels(get(client, "video", path, frame=7)).astype(float)
    assert np.abs(shown - true).mean() < 6  # what JPEG loses
    found = get(client, "video", path, what="points", tracks=tracks, start=5, count=4).json()
    points = read_tracks(folder / "arenaDLC_net.h5").values
    assert len(found["frames"]) == 4
    x, y, _ = found["frames"][2][0][1]
    np.testing.assert_allclose([x, y], points[7, :, 1, 0], atol=0.01)


def test_a_graph_is_drawn_and_shown_as_a_matrix(client, place):
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_weighted_edges_from([("a", "b", 2.0), ("b", "c", 1.0)])
    nx.write_graphml(graph, place.uploads / "net.graphml")
    head = client.get("/api/view/graph", params={"path": "uploads/net.graphml"}).json()
    assert (head["nodes"], head["links"], head["directed"]) == (["a", "b", "c"], 2, True)
    drawing = get(client, "graph", "uploads/net.graphml", what="drawing").json()
    assert drawing["links"][0] == [0, 1, 2.0]
    matrix = pixels(get(client, "graph", "uploads/net.graphml", size=96))
    assert matrix.shape == (96, 96)
    assert matrix[0, 40] == 0
    assert matrix[0, 0] == 255


@pytest.mark.parametrize("kind", sorted(views.VIEWS))
def test_a_file_that_is_something_else_is_refused(client, place, kind):
    (place.uploads / "notes.txt").write_text("no data")
    answer = client.get(f"/api/view/{kind}", params={"path": "uploads/notes.txt"})
    assert answer.status_code == 422 or kind == "table"
