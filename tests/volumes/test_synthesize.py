"""Images made of images: grids, fidelity against scikit-image, new images against copies."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import nibabel
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.linalg import sqrtm

from neuroloom.apps.cli import main
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json
from neuroloom.core.recording import volume
from neuroloom.core.split import Fold
from neuroloom.io.cases import find_cases
from neuroloom.io.images import read_image, to_array, write_image
from neuroloom.learn.model import find_model
from neuroloom.learn.store import load_ensemble
from neuroloom.learn.training.fit import FitJob
from neuroloom.nets.generators import Adversary, SuperResolution, Unfold, _turned
from neuroloom.volumes.story.synthesize import _left_out
from neuroloom.volumes.synthesis.data import coarser, inside, read_pairs
from neuroloom.volumes.synthesis.deliver import in_slabs
from neuroloom.volumes.synthesis.drawn import Wanted, in_turn, made_alone
from neuroloom.volumes.synthesis.fidelity import nearness, psnr, ssim
from neuroloom.volumes.synthesis.novelty import copied, frechet, novelty
from neuroloom.volumes.synthesize import Synthesize
from neuroloom.volumes.whole.frames import Frame, put_back, put_on, standardised
from tests.grids import write_blobs, write_contrasts, write_slices


def test_fidelity_is_as_in_scikit_image():
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    rng = np.random.default_rng(0)
    real = rng.normal(size=(9, 10, 11))
    made = real + 0.3 * rng.normal(size=real.shape)
    span = np.ptp(real)
    assert psnr(real, made) == pytest.approx(peak_signal_noise_ratio(real, made, data_range=span))
    assert ssim(real, made) == pytest.approx(structural_similarity(real, made, data_range=span))
    assert np.isnan(psnr(np.ones(4), np.zeros(4)))
    assert np.isnan(psnr(np.ones(4), np.ones(4)))


def test_a_colour_that_is_empty_tells_nothing():
    rng = np.random.default_rng(0)
    picture = np.zeros((3, 64, 48), np.float32)
    picture[1] = rng.gamma(2, 30, (64, 48))
    real = standardised(picture, together=True)
    real[2] += rng.choice([0, 1], (64, 48)) * np.float32(1.2e-7)  # as averaging leaves
    made = real + 0.1 * rng.normal(size=real.shape).astype(np.float32)
    expected = [score(real[1].astype(float), made[1].astype(float)) for score in (psnr, ssim)]
    assert nearness(real, made) == pytest.approx(expected)
    assert np.isnan(nearness(real[:1], made[:1])).all()
    # Channels of their own units are no less there for being small.
    units = np.array([4000, 0.001], np.float32)[:, None, None]
    assert nearness(real[[1]] * units, made[[1]] * units) == pytest.approx(expected, rel=1e-4)


def test_all_images_that_cannot_serve_are_listed_at_once(tmp_path):
    data = write_blobs(tmp_path, cases=4)
    (data / "images/case_01.nii.gz").write_bytes(b"no volume")
    write_image(data / "images/case_02.nii.gz", volume(np.full((5, 5, 5), np.nan), np.eye(4)))
    with pytest.raises(DataError, match=r"(?s)2 problems in 2 cases.*case_01.*case_02.*NaN"):
        read_pairs(find_cases(data), "autoencoder")


def test_what_is_made_lies_on_the_grid_of_its_image_in_its_unit(tmp_path):
    affine = np.array([[0, 1.2, 0, -31.0], [-0.9, 0, 0, 12.5], [0, 0, 2.0, 7.25], [0, 0, 0, 1]])
    smooth = np.add.outer(np.add.outer(np.arange(20.0), 3 * np.arange(16.0)), 7 * np.arange(11.0))
    for case in range(4):
        content = 500 + (case + 1) * smooth
        write_image(tmp_path / f"d/c{case}.nii.gz", volume(content.astype(np.float32), affine))
    fields = {"pattern": "{subject}", "folds": 0, "size": 14}
    run = Synthesize(**fields, model="pca-images").run(tmp_path / "d", tmp_path / "run")
    run.predict(tmp_path / "d", out=tmp_path / "made")
    for case in range(4):
        made = nibabel.load(tmp_path / f"made/c{case}_made.nii.gz")
        given = nibabel.load(tmp_path / f"d/c{case}.nii.gz")
        np.testing.assert_array_equal(made.affine, given.affine)
        off = np.asarray(made.dataobj) - np.asarray(given.dataobj)
        # The common grid has places of 1.6 x 1.6 x 2 mm: only the border is not interpolated.
        assert np.abs(off[2:-2, 2:-2, 2:-2]).max() < 0.01 * np.ptp(np.asarray(given.dataobj))


def test_an_image_comes_back_from_the_frame_and_what_was_cut_off_does_not():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, 7, 9)).astype(np.float32)
    wide = Frame((12, 5), (1.0, 2.0))
    back = put_back(put_on(image, (1.0, 2.0), wide), wide, (7, 9), (1.0, 2.0))
    np.testing.assert_array_equal(back[:, :, 2:7], image[:, :, 2:7])
    assert np.isnan(back[:, :, [0, 1, 7, 8]]).all()


def test_what_is_given_is_the_mean_over_blocks(tmp_path):
    data = write_blobs(tmp_path, cases=2)
    pairs = read_pairs(find_cases(data), "super-resolution", size=13)
    x, y = pairs.x, pairs.truth
    assert all(size % 2 == 0 for size in y.shape[2:])
    np.testing.assert_allclose(x[0, 0, 0, 1, 2], y[0, 0, :2, 2:4, 4:6].mean(), rtol=1e-5)
    assert coarser(y).shape == x.shape
    assert inside(y[0], pairs.table["extent"][0]).ndim == 4


def test_a_new_image_is_made_twice_as_fine_as_it_is(tmp_path):
    data = write_blobs(tmp_path / "d", cases=3)
    fields = {"kind": "super-resolution", "pattern": "{subject}_{s}", "folds": 0}
    run = Synthesize(**fields, model="cubic").run(data / "images", tmp_path / "run")
    # x to the left, y and z changed round, 2 mm: none of it is as the net saw it.
    affine = np.array([[-2, 0, 0, 50.0], [0, 0, 2, -3.0], [0, 2, 0, 7], [0, 0, 0, 1]])
    given = 100 + np.add.outer(np.add.outer(np.arange(9.0), 3 * np.arange(8.0)), 7 * np.arange(10))
    write_image(tmp_path / "new/low_1.nii.gz", volume(given.astype(np.float32), affine))
    table = run.predict(tmp_path / "new", out=tmp_path / "made")
    made = nibabel.load(tmp_path / "made/low_1_made.nii.gz")
    assert made.shape == (18, 16, 20)
    np.testing.assert_allclose(nibabel.affines.voxel_sizes(made.affine), 1)
    corner = np.array([-0.5, -0.5, -0.5, 1])
    np.testing.assert_allclose((made.affine @ corner), affine @ corner)
    blocks = np.asarray(made.dataobj).reshape(9, 2, 8, 2, 10, 2).mean((1, 3, 5))
    np.testing.assert_allclose(blocks[2:-2, 2:-2, 2:-2], given[2:-2, 2:-2, 2:-2], rtol=1e-3)
    assert table["psnr"][0] > 30
    assert "Places of another size" not in str(table.attrs["findings"])
    assert "Places of another size" in str(run.predict(data / "images").attrs["findings"])


def test_images_that_were_made_are_kept_when_the_disk_fills(tmp_path, monkeypatch):
    from neuroloom.io import images

    data = write_blobs(tmp_path / "d", cases=3) / "images"
    run = Synthesize(kind="super-resolution", model="cubic", folds=0).run(data, tmp_path / "run")
    whole = run.predict(data, out=tmp_path / "whole")
    write, written = images.write_image, []

    def fails(path, *rest, **more):
        if len(written) == 2:
            raise OSError(28, "No space left")
        written.append(path.name)
        return write(path, *rest, **more)

    monkeypatch.setattr(images, "write_image", fails)
    with pytest.raises(OSError, match="No space left"):
        run.predict(data, out=tmp_path / "out")
    kept = [(tmp_path / "out" / name).stat().st_mtime_ns for name in written]
    monkeypatch.setattr(images, "write_image", write)
    pd.testing.assert_frame_equal(run.predict(data, out=tmp_path / "out"), whole)
    assert [(tmp_path / "out" / name).stat().st_mtime_ns for name in written] == kept
    assert len(list((tmp_path / "out").glob("*_made.nii.gz"))) == 3


def test_a_large_image_is_made_finer_in_slabs_as_at_once():
    net = SuperResolution(1, (8, 8), width=4).eval()
    torch.nn.init.normal_(net.last.weight)

    def make(x):
        with torch.inference_mode():
            return net(torch.tensor(x)).numpy()

    x = np.random.default_rng(0).normal(size=(1, 50, 6)).astype(np.float32)
    np.testing.assert_allclose(in_slabs(make, x, most=60), make(x[None])[0], atol=1e-4)


def test_channels_in_place_are_a_pixel_shuffle():
    x = torch.randn(2, 12, 3, 4)
    torch.testing.assert_close(Unfold(2)(x), torch.nn.functional.pixel_shuffle(x, 2))


def test_a_finer_grid_starts_as_linear_interpolation_and_beats_cubic_on_what_it_learnt():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    # Stripes with edges, which a cubic spline blurs.
    phase = rng.uniform(0, 8, (60, 1, 1, 1))
    y = np.sign(np.sin((np.arange(24)[None, None, :, None] + phase) * 2 * np.pi / 8))
    y = np.broadcast_to(y, (60, 1, 24, 24)).astype(np.float32)
    x = coarser(y)
    plain = torch.nn.functional.interpolate(torch.tensor(x), scale_factor=2, mode="bilinear")
    torch.testing.assert_close(SuperResolution(1, (12, 12), width=4)(torch.tensor(x)), plain)
    facts = {"channels": ["image"], "made": ["image"], "given_shape": [12, 12]}
    made = {}
    for name, job in (("super-resolution", FitJob(epochs=25)), ("cubic", None)):
        learner = find_model(name, "grid").make(facts, "synthesis", 1)
        learner.fit(x[:40], y[:40], job=job)
        made[name] = ((learner.predict_scores(x[40:]) - y[40:]) ** 2).mean()
    assert made["super-resolution"] < 0.8 * made["cubic"]


def test_the_gradient_is_turned_round_on_its_way_to_the_generator():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (3 * _turned(x)).sum().backward()
    assert x.grad.tolist() == [-3.0, -3.0]
    torch.testing.assert_close(_turned(x.detach()), x.detach())


def test_generator_and_critic_pull_in_opposite_directions():
    torch.manual_seed(0)
    net, y = Adversary(1, (8, 8), 2, width=4), torch.tensor([0, 1] * 4)
    x = torch.randn(8, 1, 8, 8)
    net.loss(x, y, torch.Generator().manual_seed(1)).backward()
    turned = net.seed.weight.grad.clone()
    net.zero_grad()
    fake = net.sample(y, torch.Generator().manual_seed(1))
    net.judge(fake, y).mean().backward()
    torch.testing.assert_close(turned, -net.seed.weight.grad)
    assert all(p.grad is not None for p in net.look.parameters())


def test_class_number_and_seed_fix_a_new_image():
    facts = {"channels": ["image"], "groups": ["dark", "bright"], "given_shape": [8, 8]}
    learner = find_model("adversary", "grid").make(facts, "synthesis", 2, width=4)
    made = learner.predict_scores(np.zeros((6, 1, 8, 8), np.float32))
    np.testing.assert_allclose(made[[1, 5]], learner.draw([1, 1], [0, 2]), atol=1e-6)
    assert np.abs(made[1] - learner.draw([1], [0], seed=3)[0]).max() > 0.1
    net = learner.model.nets[0]
    code = torch.tensor(np.random.default_rng([0, 1, 2]).normal(size=(1, net.code)))
    again = net.made(code.float(), torch.tensor([1]))
    np.testing.assert_allclose(made[[5]], again.detach().numpy(), atol=1e-6)


def test_each_new_image_is_of_one_generator_alone():
    class Alone:
        def __init__(self, name):
            self.name = name

        def draw(self, label, number, seed):
            return np.stack([[self.name, c, k, seed] for c, k in zip(label, number, strict=True)])

    learners = [Alone(10), Alone(20)]
    wanted = Wanted.of(["a", "b"], 6, seed=7)
    made = made_alone(learners, wanted)
    assert made[:, 0].tolist() == [10, 10, 20, 20, 10, 10]
    assert made[:, 1].tolist() == [0, 1] * 3
    assert made_alone(learners, Wanted.of(["a", "b"], 3, "b", 7))[:, 0].tolist() == [10, 20, 10]
    np.testing.assert_array_equal(in_turn([np.full(6, 10), np.full(6, 20)], 2), made[:, 0])
    with pytest.raises(ConfigError, match=r"no 'tumor'.*Did you mean 'tumour'.*healthy, tumour"):
        Wanted.of(["healthy", "tumour"], 2, "tumor")


def test_frechet_is_the_published_formula_and_copies_are_seen():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(80, 4)), rng.normal(size=(70, 4)) @ rng.normal(size=(4, 4)) + 1
    ca, cb = np.cov(a.T), np.cov(b.T)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * sqrtm(ca @ cb).real)
    assert frechet(a, b) == pytest.approx(expected)
    new = rng.normal(size=(400, 4))
    assert copied(new, a) < 0.25
    assert copied(a + 1e-6, a) == 1.0


def test_one_held_out_image_has_no_spread():
    x = np.random.default_rng(0).normal(size=(12, 1, 6, 6)).astype(np.float32)
    data = SimpleNamespace(x=x)

    def judged(*held_out):
        rows = np.arange(len(x))
        folds = [Fold("", np.setdiff1d(rows, test), np.array(test), []) for test in held_out]
        fits = [
            SimpleNamespace(job=SimpleNamespace(fold=k), scores=x[fold.test] + 1)
            for k, fold in enumerate(folds)
        ]
        return novelty(data, folds, fits), _left_out(folds)

    found, (note,) = judged([0], [1])
    assert (found["frechet"]["value"], found["frechet"]["baseline"]) == (None, None)
    assert found["copied"]["value"] == 0
    assert "undefined" in note
    some, (note,) = judged([0], [1, 2, 3])
    both, notes = judged([1, 2, 3])
    assert some["frechet"] == both["frechet"]
    assert "leaves out 1 of 2 folds" in note
    assert notes == []


def test_new_images_are_judged_beside_real_ones(tmp_path):
    data = write_slices(tmp_path / "data", subjects=24, slices=1)
    fields = {"kind": "gan", "target": "folder", "pattern": "{subject}_{slice}", "size": 12}
    run = Synthesize(**fields, folds=2, budget="3 steps", width=4).run(data, tmp_path / "run")
    metrics = read_json(run.folder / "metrics.json")
    assert list(metrics) == ["psnr", "ssim", "frechet", "copied"]
    assert metrics["frechet"]["baseline"] < metrics["frechet"]["value"]
    assert len(run.predict(data)) == 24
    groups = load_ensemble(run.folder / "model.safetensors").facts["axes"]["groups"]
    words = ["--count", "3", "--class", groups[1], "--seed", "5", "--out", str(tmp_path / "made")]
    assert main(["predict", str(run.folder), *words]) == 0
    names = [f"made_{groups[1]}_{k:03d}" for k in (1, 2, 3)]
    table = pd.read_csv(tmp_path / "made/predictions.csv")
    assert table["name"].tolist() == names
    assert table[["class", "seed", "net"]].to_numpy().tolist() == [
        [groups[1], 5, 1], [groups[1], 5, 2], [groups[1], 5, 1]
    ]  # fmt: skip
    made = to_array(read_image(tmp_path / f"made/{names[1]}.tif"))
    second = load_ensemble(run.folder / "model.safetensors").members[""][1]
    np.testing.assert_array_equal(made, second.draw([1], [1], 5)[0])
    method = " ".join(read_json(run.folder / "facts.json")["method"])
    assert "a critic" in method
    assert "mean squared error" not in method
    assert main(["predict", str(run.folder), "--cuont", "3"]) == 2
    with pytest.raises(ConfigError, match="count: expected a whole number"):
        run.predict(count="some")


def test_settings_of_another_kind_are_refused(tmp_path):
    data = write_blobs(tmp_path, cases=3)
    with pytest.raises(ConfigError, match="not for kind=autoencoder"):
        Synthesize(model="super-resolution").prepare(data)
    with pytest.raises(ConfigError, match="make is for kind=contrast"):
        Synthesize(make=["1"]).prepare(data)
    with pytest.raises(ConfigError, match="needs `make`"):
        Synthesize(kind="contrast").prepare(data)
    with pytest.raises(ConfigError, match="no channel 'T9'"):
        Synthesize(kind="contrast", make=["T9"]).prepare(data)


def test_images_of_one_subject_stay_on_one_side(tmp_path):
    data = write_slices(tmp_path, subjects=4)
    fields = {"pattern": "{subject}_{run}", "size": 8}
    with pytest.raises(DataError, match=r"test has 4 subjects on both sides: s0 \("):
        Synthesize(**fields, test=["s*_0.png"]).prepare(data)
    assert len(Synthesize(**fields, test=["s1_*"]).prepare(data).folds) == 1


def test_a_contrast_of_bids_is_made_of_the_other(tmp_path):
    data = write_contrasts(tmp_path / "data", subjects=5)
    fields = {"kind": "contrast", "make": ["T2w"], "folds": 2}
    run = Synthesize(**fields, model="intensities").run(data, tmp_path / "run")
    metrics = read_json(run.folder / "metrics.json")
    assert metrics["psnr"]["value"] > 25
    # New people need no T2w; who has one is compared with it.
    new = write_contrasts(tmp_path / "new", subjects=3, lacking=("sub-1_T2w",))
    table = run.predict(new, out=tmp_path / "made").set_index("name")
    assert table["psnr"].isna().tolist() == [False, True, False]
    made = nibabel.load(tmp_path / "made" / "sub-0_made.nii.gz")
    real = nibabel.load(new / "sub-0/anat/sub-0_T2w.nii.gz")
    np.testing.assert_array_equal(made.affine, real.affine)
    assert made.shape == real.shape
    values, expected = np.asarray(made.dataobj), np.asarray(real.dataobj)
    assert np.corrcoef(values.ravel(), expected.ravel())[0, 1] > 0.9
    assert abs(values.mean()) < 0.1
    assert run.evaluate(new, tmp_path / "judged")["value"].notna().all()
    (new / "sub-2/anat/sub-2_T1w.nii.gz").unlink()
    with pytest.raises(DataError, match="sub-2: lacks T1w"):
        run.predict(new)


def test_images_of_one_name_in_two_folders_are_all_made(tmp_path):
    data = write_contrasts(tmp_path / "d", subjects=4)
    fields = {"kind": "contrast", "make": ["T2w"], "folds": 0, "model": "intensities"}
    run = Synthesize(**fields).run(data, tmp_path / "run")
    new = [write_contrasts(tmp_path / name, subjects=2) for name in ("a", "b")]
    table = run.predict(*new, out=tmp_path / "made")
    assert table["name"].is_unique
    assert table["name"][0] == "a_sub-0_anat_sub-0"
    assert len(list((tmp_path / "made").glob("*_made.nii.gz"))) == 4


def test_new_images_are_made_one_by_one_whoever_they_are_of(tmp_path):
    data = write_blobs(tmp_path / "d", cases=4)
    run = Synthesize(model="pca-images", folds=0).run(data, tmp_path / "run")
    (tmp_path / "new").mkdir()
    for name in ("x", "y"):
        shutil.copy(data / "images/case_01.nii.gz", tmp_path / f"new/{name}.nii.gz")
    table = run.predict(tmp_path / "new", out=tmp_path / "made")
    assert table["psnr"].nunique() == 1
    assert len(table) == 2
    found = read_json(tmp_path / "made/audit.json")
    assert [one["title"] for one in found if one["severity"] != "note"] == []


def test_channels_are_told_by_their_names_in_new_data(tmp_path):
    data = write_contrasts(tmp_path / "d", subjects=4)
    rows = [{"image_T1w": f"d/sub-{s}/anat/sub-{s}_T1w.nii.gz",
             "image_T2w": f"d/sub-{s}/anat/sub-{s}_T2w.nii.gz", "subject": s}
            for s in range(4)]  # fmt: skip
    table = pd.DataFrame(rows)
    table.to_csv(tmp_path / "one.csv", index=False)
    table[["image_T2w", "image_T1w", "subject"]].to_csv(tmp_path / "other.csv", index=False)
    fields = {"kind": "contrast", "make": ["T2w"], "folds": 0, "model": "intensities"}
    run = Synthesize(**fields).run(data, tmp_path / "run")
    expected = run.predict(data)["psnr"].tolist()
    for manifest in ("one.csv", "other.csv"):
        assert run.predict(tmp_path / manifest)["psnr"].tolist() == pytest.approx(expected)


def test_channels_in_the_order_that_is_asked_for_are_those_of_their_names(tmp_path):
    data = write_contrasts(tmp_path / "d", subjects=2)
    rows = [{f"image_{c}": f"d/sub-{s}/anat/sub-{s}_{c}.nii.gz" for c in ("T1w", "T2w")}
            | {"subject": s} for s in range(2)]  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "cases.csv", index=False)
    fields = {"kind": "contrast", "make": ["T2w"]}
    plain = Synthesize(**fields).read(tmp_path / "cases.csv")
    turned = Synthesize(channels=["T2w", "T1w"], **fields).read(tmp_path / "cases.csv")
    assert turned.facts["channels"] == plain.facts["channels"] == ["T1w"]
    np.testing.assert_array_equal(turned.x, plain.x)
    np.testing.assert_array_equal(turned.truth, plain.truth)
    facts = {"axes": turned.facts}
    again = Synthesize(channels=["T2w", "T1w"], **fields).read_like(facts, data, [])
    np.testing.assert_array_equal(again.x, plain.x)
