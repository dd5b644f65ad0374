"""Every way in, and what is said of files that cannot serve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroloom.connectivity.causal import Causal
from neuroloom.connectivity.data import Signals, check
from neuroloom.connectivity.reading import find_files, read_all, read_text, read_truth
from neuroloom.core.errors import ConfigError, DataError
from tests.networks import write_network

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 60))


def write_mat(path, **more):
    """Write a .mat as the VARDNN toolbox has it."""
    from scipy.io import savemat

    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"X": X, **more})
    return path


@pytest.mark.parametrize("mark", [",", "\t", ";", " "])
def test_text_with_a_header_has_nodes_in_columns(tmp_path, mark):
    file = tmp_path / "a.txt"
    np.savetxt(file, X.T, delimiter=mark, header=mark.join("ABCD"), comments="")
    one = read_text(file)
    assert one.names == tuple("ABCD")
    np.testing.assert_allclose(one.values, X)


def test_text_without_a_header_has_time_along_the_longer_axis(tmp_path):
    for name, table in (("rows.csv", X), ("columns.csv", X.T)):
        np.savetxt(tmp_path / name, table, delimiter=",")
        np.testing.assert_allclose(read_text(tmp_path / name).values, X)


def test_zero_by_zero_in_a_mat_means_not_given(tmp_path):
    none = np.zeros((0, 0))
    file = write_mat(tmp_path / "a.mat", nodeControl=none, exSignal=none, groundTruth=np.eye(4))
    one = read_all(file).recordings[0]
    assert one.control is None
    assert one.inputs is None
    assert one.truth is not None


@pytest.mark.parametrize("shape", [(4, 3), (3, 3)])
def test_a_control_matrix_of_another_shape_is_refused(tmp_path, shape):
    file = write_mat(tmp_path / "a.mat", nodeControl=np.ones(shape))
    with pytest.raises(DataError, match=r"control matrix is .* expected 4 x 4"):
        Causal().prepare(file)


def test_a_constant_node_is_named(tmp_path):
    flat = X.copy()
    flat[2] = 1.0
    np.savetxt(tmp_path / "a.csv", flat.T, delimiter=",", header="A,B,C,D", comments="")
    with pytest.raises(DataError, match="'C' is constant"):
        Causal().prepare(tmp_path / "a.csv")
    assert Causal(drop=["C"]).prepare(tmp_path / "a.csv").networks[0][0].nodes == 3


def test_frames_that_are_not_finite_are_named_or_filled(tmp_path):
    gap = X.copy()
    gap[1, 7] = np.nan
    with pytest.raises(DataError, match="'B' is not finite in frame 7"):
        check(Signals(gap, tuple("ABCD")))
    filled = check(Signals(gap, tuple("ABCD")), "interpolate")
    assert filled.values[1, 7] == pytest.approx((X[1, 6] + X[1, 8]) / 2)


def test_too_few_time_points_are_refused(tmp_path):
    np.savetxt(tmp_path / "a.csv", X[:, :9], delimiter=",")
    with pytest.raises(DataError, match="9 time points are too few"):
        Causal().prepare(tmp_path / "a.csv")


def test_a_truth_that_names_no_node_suggests_one(tmp_path):
    folder = write_network(tmp_path)
    truth = folder / "ground_truth.txt"
    truth.write_text(truth.read_text().replace("N1 -->", "M1 -->"))
    with pytest.raises(DataError, match="Did you mean"):
        read_all(folder)
    truth.write_text("1. N1 --- N2\n")
    with pytest.raises(DataError, match="no direction"):
        read_truth(truth, ["N1", "N2"])


def test_a_row_that_is_no_number_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("A,B\n1,2\n3,x\n")
    with pytest.raises(DataError, match="row 3: 'x' is no number"):
        read_all(tmp_path / "a.csv")


def test_what_all_recordings_share_is_a_source(tmp_path):
    shown = RNG.normal(size=60)
    for k in range(3):
        table = np.vstack([RNG.normal(size=(2, 60)), shown]).T
        np.savetxt(tmp_path / f"s{k}.txt", table, delimiter="\t", header="A\tB\tI", comments="")
    prepared = Causal().prepare(tmp_path)
    assert not prepared.networks[0][0].allowed()[2].any()
    assert any(found.title == "Sources" for found in prepared.findings)


def test_pcmci_needs_its_library(tmp_path):
    from importlib.util import find_spec

    if find_spec("tigramite"):
        pytest.skip("tigramite is installed")
    with pytest.raises(ConfigError, match="pip install tigramite"):
        Causal(model="pcmci").prepare(write_network(tmp_path))


def test_an_image_needs_an_atlas_and_gives_the_means_of_its_regions(tmp_path):
    import nibabel

    labels = np.zeros((4, 4, 4), np.int16)
    labels[:2], labels[2:] = 1, 2
    series = RNG.normal(size=(4, 4, 4, 30)).astype(np.float32)
    affine = np.diag([3.0, 3, 3, 1])
    nibabel.save(nibabel.Nifti1Image(labels, affine), tmp_path / "atlas.nii.gz")
    name = "sub-01_task-rest_bold.nii.gz"
    nibabel.save(nibabel.Nifti1Image(series, affine), tmp_path / name)
    with pytest.raises(ConfigError, match="Name an atlas"):
        Causal(include=["*bold*"]).prepare(tmp_path)
    recipe = Causal(atlas="atlas.nii.gz", include=["*bold*"])
    one = recipe.prepare(tmp_path).networks[0][0]
    assert one.names == ("R1", "R2")
    np.testing.assert_allclose(one.places, [[1.5, 4.5, 4.5], [7.5, 4.5, 4.5]])
    mean = series[:2].reshape(-1, 30).mean(0)
    np.testing.assert_allclose(one.values[0], (mean - mean.mean()) / mean.std(), atol=1e-4)


def test_a_folder_above_this_one_is_searched_without_what_runs_left_there(tmp_path, monkeypatch):
    for name in ("a.csv", "run/c.csv", ".hidden/d.csv", "run/status.json", "run/recipe.yaml"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).touch()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert [path.name for path in find_files(Path("../data"))] == ["a.csv"]
