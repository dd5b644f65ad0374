"""DNNBrain: activations, masks, encoding, RSA, saliency, receptive fields, HRF."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from neuroloom.representation.activations import read_dmask
from neuroloom.representation.features import Choice, answer, extract_features
from neuroloom.representation.items import grouped, read_items
from neuroloom.representation.mapping.hrf import convolve
from neuroloom.representation.mapping.latent import probe
from neuroloom.representation.mapping.ridge import correlate, cross_predict
from neuroloom.representation.matfile import read_mat
from neuroloom.representation.rsa.rdm import gram
from neuroloom.representation.seeing.fields import field_of_chain, receptive_field
from neuroloom.representation.seeing.maximise import maximise
from neuroloom.representation.seeing.saliency import grad_cam, occlusion, over_places, saliency
from neuroloom.representation.sources import open_net
from neuroloom.representation.stimuli import open_stimuli, write_stim_csv
from neuroloom.representation.story.figures import place
from parity.harness import Check
from parity.studies import scratch
from parity.thingsvision import DATA, compared, pictures

TOOL = "DNNBrain"
LAYERS = [f"encoder.layer{number}" for number in (1, 2, 3, 4)]


def conv_features(data: Path) -> dict[str, np.ndarray]:
    """Return channel means of four layers for the 92 pictures and shifted copies of them."""
    net = open_net("grid/resnet18", size=48)
    stimuli = open_stimuli(pictures(data))
    x = stimuli.batch(range(92), net.transform)
    copies = np.concatenate([np.roll(x, shift, (2, 3)) for shift in (0, 7, 19)])
    return extract_features(net.module, copies, LAYERS, pool="mean")


def layers_found(data: Path) -> float:
    """Return the share of 200 voxels a layer whose layer ridge encoding finds."""
    return _encoded(data)[0]


def ceiling_gap(data: Path) -> float:
    """Return how far encoding by the right layer is from the ceiling, mean over layers."""
    return _encoded(data)[1]


def regions_found(data: Path) -> float:
    """Return how many of four layers explain the 200 voxels that read them best on the whole."""
    return _encoded(data)[2]


@cache
def _encoded(data: Path) -> tuple[float, float, float]:
    rng = np.random.default_rng(0)
    features = {name: values[:, :12].astype(float) for name, values in conv_features(data).items()}
    kernels = {name: gram(_standard(values), centre="column") for name, values in features.items()}
    right, gaps, best = [], [], 0
    for truth in LAYERS:
        signal = _standard(_standard(features[truth]) @ rng.normal(size=(12, 200)))
        noise = 0.4 * rng.normal(size=signal.shape)
        voxels, ceiling = signal + noise, 1 / np.sqrt(1 + 0.4**2)
        scores = []
        for name in LAYERS:
            found = cross_predict([kernels[name]], voxels, 5, rng=np.random.default_rng(1))
            scores.append(correlate(found.predicted, voxels, found.fold))
        right.append(np.argmax(scores, 0) == LAYERS.index(truth))
        best += int(np.argmax(np.mean(scores, 1)) == LAYERS.index(truth))
        gaps.append(ceiling - scores[LAYERS.index(truth)].mean())
    return float(np.mean(right)), float(np.mean(np.abs(gaps))), float(best)


def _standard(x: np.ndarray) -> np.ndarray:
    return np.asarray((x - x.mean(0)) / x.std(0))


def animacy(data: Path) -> float:
    """Return how well a probe reads animacy from human IT, whose patterns its RDM gives back."""
    human = grouped(read_items(data / DATA / "92_brainRDMs.mat"))[0]
    patterns = place(human.rdms("correlation").mean(0), 20)
    labels = read_mat(pictures(data))["categoryVectors"][:, 0]
    rng = np.random.default_rng(0)
    found = probe(gram(patterns, centre="column"), labels, 5, rng=rng)[0]
    return float((found == labels).mean())


def lower_ceiling(data: Path) -> float:
    """Return how far the noise ceiling of human IT is from the known one, both bounds."""
    found = compared(data)
    return max(abs(found["ceiling_lower"] - 0.377), abs(found["ceiling_upper"] - 0.672))


def bold_error(data: Path) -> float:
    """Return the largest difference of convolved features from nilearn's."""
    from nilearn.glm.first_level import compute_regressor

    rng = np.random.default_rng(0)
    onset, frames = np.sort(rng.uniform(0, 150, 20)), np.arange(100) * 2.0
    duration, features = rng.choice([1.0, 3.0], 20), rng.normal(size=(20, 4))
    found = convolve(features, onset, duration, frames)
    gaps = []
    for column in range(4):
        condition = (onset, duration, features[:, column])
        wanted = compute_regressor(condition, "glover", frames)[0][:, 0]
        gaps.append(np.abs(found[:, column] - wanted).max())
    return float(max(gaps))


def planted_overlap(data: Path) -> float:
    """Return the least IoU of five kinds of maps with a planted square."""
    import torch
    from torch import nn

    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu = nn.Conv2d(1, 1, 8, padding=4, bias=False), nn.ReLU()
            nn.init.constant_(self.conv.weight, 1 / 64)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.relu(self.conv(x) - 0.5).amax((2, 3))

    x = 0.05 * np.random.default_rng(0).normal(size=(1, 1, 48, 48)).astype(np.float32)
    x[0, 0, 18:26, 30:38] += 1
    truth = np.zeros((48, 48), bool)
    truth[18:26, 30:38] = True
    net = Detector().eval()
    kinds = ("plain", "guided", "smooth")
    maps = [over_places(saliency(net, x, method=kind))[0] for kind in kinds]
    maps += [occlusion(net, x, window=8, stride=2)[0], grad_cam(net, x, "conv")[0]]
    values = []
    for found in maps:
        strongest = found >= np.sort(found.ravel())[-64]
        values.append((strongest & truth).sum() / (strongest | truth).sum())
    return float(min(values))


def field_error(data: Path) -> float:
    """Return the largest difference of measured receptive fields from the closed form."""
    from torch import nn

    chains = [[(11, 4), (3, 2), (5, 1)], [(7, 2), (3, 2), (3, 1)], [(3, 1), (3, 1), (3, 1)]]
    gaps = []
    for chain in chains:
        parts = [
            nn.Conv2d(1 if k == 0 else 2, 2, size, step) for k, (size, step) in enumerate(chain)
        ]
        size, _ = field_of_chain(*zip(*chain, strict=True))
        field = receptive_field(nn.Sequential(*parts), "2", (1, size + 20, size + 20))
        gaps += [abs(one - size) for one in field.sizes]
    return float(max(gaps))


def climbed(data: Path) -> float:
    """Return the response to a synthetic stimulus over the best of the 92 pictures."""
    net = open_net("grid/resnet18", size=64)
    stimuli = open_stimuli(pictures(data))
    x = stimuli.batch(range(92), net.transform)
    responses = extract_features(net.module, x, "layer3", pool="mean")["encoder.layer3"][:, 0]
    _, climb = maximise(net.module, (3, 64, 64), "encoder.layer3", 0, steps=80)
    return float(climb[-1] / responses.max())


def tables(data: Path) -> float:
    """Return how many stimuli of a .stim.csv, through a .dmask.csv, come out as they should."""
    import pandas as pd
    from PIL import Image

    folder = scratch() / "dnnbrain"
    (folder / "p").mkdir(parents=True, exist_ok=True)
    stimuli = open_stimuli(pictures(data))
    for number in range(8):
        Image.fromarray(stimuli.picture(number)).save(folder / "p" / f"s{number}.png")
    table = pd.DataFrame({"stimID": [f"s{k}.png" for k in range(8)], "onset": np.arange(8.0)})
    file = write_stim_csv(folder / "a.stim.csv", table, type="image", path="p")
    (folder / "a.dmask.csv").write_text("encoder.layer2=chn,row\n1,5\n2,3\n")
    places = read_dmask(folder / "a.dmask.csv")
    net = open_net("grid/resnet18", size=64)
    whole = extract_features(
        net.module, open_stimuli(file).batch(range(8), net.transform), "layer2"
    )
    right = 0
    for rows, found in answer(net, open_stimuli(file), list(places), Choice(places=places), 4):
        wanted = whole["encoder.layer2"][rows][:, [0, 4]][:, :, [1, 2]]
        pairs = zip(found["encoder.layer2"], wanted, strict=True)
        right += int(sum(np.allclose(a, b, atol=1e-5) for a, b in pairs))
    return float(right)


CHECKS = [
    Check(TOOL, "stimuli of a .stim.csv whose units of a .dmask.csv come out right, of 8", "== 8",
          tables, DATA),
    Check(TOOL, "layers that explain the 200 voxels that read them best, of 4", "== 4",
          regions_found, "92 pictures, 3 shifts, four layers of a ResNet-18"),
    Check(TOOL, "share of 800 simulated voxels whose layer is found, one by one", ">= 0.99",
          layers_found, "92 pictures, 3 shifts, four layers of a ResNet-18"),
    Check(TOOL, "distance of encoding by the right layer from the ceiling, r", "<= 0.02",
          ceiling_gap, "92 pictures, 3 shifts, four layers of a ResNet-18"),
    Check(TOOL, "distance of the noise ceiling of human IT from the known bounds", "<= 0.0005",
          lower_ceiling, "rsa92, 4 people"),
    Check(TOOL, "animacy read from human IT by a probe, accuracy (chance 0.52)", ">= 0.8", animacy,
          "rsa92, mean of 4 people"),
    Check(TOOL, "largest difference of convolved features from nilearn's", "<= 0.000001",
          bold_error, "simulated events"),
    Check(TOOL, "least overlap (IoU) of five kinds of maps with a planted square", ">= 0.5",
          planted_overlap, "simulated"),
    Check(TOOL, "largest difference of receptive fields from the closed form, px", "== 0",
          field_error, "three chains"),
    Check(TOOL, "response to a synthetic picture over that to the best of 92", ">= 1.2", climbed,
          "92 pictures"),
]  # fmt: skip
