"""Stimuli and nets: what is found, and what is said where nothing is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.representation.sources import open_net
from neuroloom.representation.stimuli import (
    Transform,
    open_stimuli,
    read_stim_csv,
    write_stim_csv,
)
from tests.representation.shown import write_pictures


def test_a_folder_of_pictures(tmp_path):
    stimuli = open_stimuli(write_pictures(tmp_path / "p"))
    assert stimuli.names[0] == "a/p1.png"
    assert stimuli.table["condition"].tolist() == ["a", "a", "a", "b", "b", "b"]
    assert stimuli.batch([0, 1], Transform((32, 32))).shape == (2, 3, 32, 32)
    assert len(open_stimuli(tmp_path / "p", ["p1*"])) == 1


def test_a_transform_is_the_usual_one():
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    found = Transform((64, 64), crop=1.0)(picture)
    wanted = (picture / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(found, wanted.transpose(2, 0, 1), atol=1e-5)
    assert abs(Transform((20, 20), 3, (0,) * 3, (1,) * 3, None, True)(picture).mean()) < 1e-4


def test_a_table_of_stimuli_of_dnnbrain(tmp_path):
    write_pictures(tmp_path / "p")
    table = pd.DataFrame({"stimID": ["a/p1.png", "b/p0.png"], "onset": [0.0, 4.0]})
    file = write_stim_csv(tmp_path / "x.stim.csv", table, type="image", path="p", title="t=1")
    header, again = read_stim_csv(file)
    assert header == {"type": "image", "path": "p", "title": "t=1"}
    pd.testing.assert_frame_equal(again, table)
    assert len(open_stimuli(file)) == 2
    file.write_text("type=image\npath=p\ndata=stimID,onset\na/p1.png\n")
    with pytest.raises(DataError, match="row 4"):
        open_stimuli(file)
    file.write_text("type=image\npath=p/a\ndata=stimID\np9.png\n")
    with pytest.raises(DataError, match="Did you mean"):
        open_stimuli(file)
    file.write_text("type=image\n")
    with pytest.raises(DataError, match="data=stimID"):
        open_stimuli(file)


def test_arrays_and_volumes(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 2, 10), np.float32))
    assert open_stimuli(tmp_path / "x.npy").batch([1]).shape == (1, 2, 10)
    np.savez(tmp_path / "y.npz", stimuli=np.zeros((3, 1, 5)), other=np.zeros((9, 99)))
    assert len(open_stimuli(tmp_path / "y.npz")) == 3
    import nibabel

    for name in ("a", "b"):
        image = nibabel.Nifti1Image(np.zeros((6, 7, 8), np.float32), np.eye(4))
        nibabel.save(image, tmp_path / f"{name}.nii.gz")
    stimuli = open_stimuli(tmp_path, ["*.nii.gz"])
    assert stimuli.kind == "volume"
    assert stimuli.batch([0, 1]).shape == (2, 1, 6, 7, 8)


@pytest.mark.parametrize("what", ["empty", "missing", "broken", "other"])
def test_what_are_no_stimuli_is_said(tmp_path, what):
    place = tmp_path / what
    if what in ("empty", "broken"):
        place.mkdir()
    if what == "broken":
        (place / "a.png").write_bytes(b"no picture")
    if what == "other":
        place = tmp_path / "a.xyz"
        place.write_text("x")
    with pytest.raises(DataError, match=what if what == "broken" else "stimuli"):
        open_stimuli(place).batch([0])


def test_a_name_that_is_none_is_answered_by_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'grid/resnet18'"):
        open_net("resnet18")
    with pytest.raises(ConfigError, match="is not installed"):
        open_net("timm/resnet18")
    with pytest.raises(ConfigError, match="is no net"):
        open_net("csp-lda", (4, 100))


def test_a_net_of_signals_by_its_name():
    net = open_net("eegnet", (8, 200))
    with torch.no_grad():
        assert net.module(torch.zeros(2, 8, 200)).shape == (2, 2)


def test_seeds_make_weights():
    one, same, other = (open_net("grid/resnet", size=32, seed=seed).module for seed in (1, 1, 2))
    first = [next(net.parameters()) for net in (one, same, other)]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])


def test_weights_of_a_file(tmp_path):
    torch.manual_seed(0)
    net, other = nn.Linear(3, 2), nn.Linear(3, 2)
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    torch.save({"state_dict": net.state_dict()}, tmp_path / "w.pth")
    for name in ("w.safetensors", "w.pth"):
        loaded = open_net(other, (3,), weights=str(tmp_path / name))
        assert torch.equal(loaded.module.weight, net.weight)
    with pytest.raises(DataError, match=r"'weight' is expected as \(3, 3\)"):
        open_net(nn.Linear(3, 3), (3,), weights=str(tmp_path / "w.pth"))
    (tmp_path / "bad.pth").write_bytes(b"x" * 100)
    with pytest.raises(DataError, match="no file of tensors alone"):
        open_net(nn.Linear(3, 3), (3,), weights=str(tmp_path / "bad.pth"))


def test_other_peoples_library_by_name(monkeypatch):
    """A stand-in shows how a library of models is asked; the real ones are not installed here."""
    import importlib.machinery
    import sys
    import types

    fake = types.ModuleType("timm")
    fake.__spec__ = importlib.machinery.ModuleSpec("timm", None)
    net = nn.Conv2d(3, 4, 3)
    net.pretrained_cfg = {"mean": (0.5,) * 3, "std": (0.25,) * 3, "input_size": (3, 40, 40)}
    fake.is_model = lambda name: name == "tiny"
    fake.list_models = lambda: ["tiny"]
    fake.create_model = lambda name, pretrained: net
    monkeypatch.setitem(sys.modules, "timm", fake)
    found = open_net("timm/tiny")
    assert found.transform is not None
    assert found.transform.size == (40, 40)
    with pytest.raises(ConfigError, match="Did you mean 'tiny'"):
        open_net("timm/tiniest")


def test_grey_pictures_serve_nets_of_colour(tmp_path):
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / "a.png")
    assert open_stimuli(tmp_path).batch([0], Transform((8, 8))).shape == (1, 3, 8, 8)


def test_a_table_with_one_column_of_files(tmp_path):
    write_pictures(tmp_path / "p")
    (tmp_path / "list.csv").write_text("path\np/a/p1.png\np/b/p0.png\n")
    assert len(open_stimuli(tmp_path / "list.csv")) == 2


@pytest.mark.parametrize("name", ["shallow", "deep4", "transformer"])
def test_nets_of_signals_take_the_whole_trace(name):
    net = open_net(name, (8, 400))
    with torch.no_grad():
        assert net.module(torch.zeros(2, 8, 400)).shape == (2, 2)
