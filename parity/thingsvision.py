"""THINGSvision: features of any net at any layer, RDMs, CKA, and the published figures of rsa92."""

from __future__ import annotations

import json
import time
import tracemalloc
from functools import cache
from pathlib import Path

import numpy as np

from neuroloom.core.errors import ConfigError
from neuroloom.core.run import Run
from neuroloom.representation import Compare, Extract
from neuroloom.representation.features import extract_features, extract_to
from neuroloom.representation.items import grouped, read_items
from neuroloom.representation.mapping.align import cross_align, odd_one_out
from neuroloom.representation.rsa.cka import cka
from neuroloom.representation.rsa.rdm import rdm
from neuroloom.representation.sources import Net, open_net
from neuroloom.representation.stimuli import from_array, open_stimuli
from parity.harness import Check
from parity.studies import scratch

TOOL = "THINGvision"
DATA = "cognition/rsa92"
LAYERS = ["encoder.layer1", "encoder.layer3", "output"]


def pictures(data: Path) -> Path:
    """Return the file of the 92 pictures."""
    return data / DATA / "Kriegeskorte_Neuron2008_supplementalData.mat"


@cache
def extracted(data: Path) -> Run:
    """Return a run of an untrained ResNet-18 on the 92 pictures."""
    recipe = Extract(model="grid/resnet18", size=64, layers=LAYERS, batch=32)
    return recipe.run(pictures(data), scratch() / "rsa92")


@cache
def hooked(data: Path) -> tuple[dict[str, np.ndarray], np.ndarray, Net]:
    """Return what plain forward hooks give for the same pictures, the pictures and the net."""
    net = open_net("grid/resnet18", size=64)
    stimuli = open_stimuli(pictures(data))
    x = stimuli.batch(range(len(stimuli)), net.transform)
    return hook(net, x, 32), x, net


def hook(net: Net, x: np.ndarray, batch: int) -> dict[str, np.ndarray]:
    """Return what plain forward hooks give, so many stimuli at a time."""
    import torch

    kept: dict[str, list[np.ndarray]] = {name: [] for name in LAYERS}
    inner = dict(net.module.named_modules())
    hooks = [
        inner[name].register_forward_hook(
            lambda _, __, out, name=name: kept[name].append(out.detach().clone().numpy())
        )
        for name in LAYERS
    ]
    with torch.no_grad():
        for start in range(0, len(x), batch):
            net.module(torch.as_tensor(x[start : start + batch]))
    for one in hooks:
        one.remove()
    return {name: np.concatenate(parts) for name, parts in kept.items()}


def unequal_bits(data: Path) -> float:
    """Return how many features on disk differ in any bit from a forward hook's."""
    wanted, _, _ = hooked(data)
    folder = extracted(data).folder / "artifacts" / "features"
    files = json.loads((folder / "features.json").read_text())["layers"]
    return float(sum((np.load(folder / files[name]) != wanted[name]).sum() for name in LAYERS))


def unequal_over_batches(data: Path) -> float:
    """Return how many features differ from a hook's at the same batch size, three sizes."""
    _, x, net = hooked(data)
    count = 0
    for batch in (1, 5, 16):
        ours, theirs = (
            extract_features(net.module, x[:16], LAYERS, batch=batch),
            hook(net, x[:16], batch),
        )
        count += sum(int((ours[name] != theirs[name]).sum()) for name in LAYERS)
    return float(count)


def throughput(data: Path) -> float:
    """Return the speed of extraction to disk over that of the bare net, processor time."""
    import torch

    _, x, net = hooked(data)
    stimuli, ratios = from_array(x), []
    for turn in range(3):
        start = time.process_time()
        with torch.inference_mode():
            for row in range(0, len(x), 32):
                net.module(torch.as_tensor(x[row : row + 32]))
        bare = time.process_time() - start
        start = time.process_time()
        extract_to(scratch() / f"speed{turn}", net, stimuli, ["encoder.layer4"])
        ratios.append(bare / (time.process_time() - start))
    return float(np.median(ratios))


def memory(data: Path) -> float:
    """Return the peak memory with ten times as many stimuli, over that with few."""
    import torch

    net = torch.nn.Sequential(torch.nn.Linear(8, 4000)).eval()
    peaks = []
    for count in (200, 2000):
        stimuli = from_array(np.zeros((count, 8), np.float32))
        tracemalloc.start()
        extract_to(scratch() / f"memory{count}", Net(net, "wide"), stimuli, ["0"], batch=20)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return peaks[1] / peaks[0]


def wrong_layer(data: Path) -> float:
    """Return 1 if a wrong name is answered with the nearest."""
    net = open_net("grid/resnet18", size=48)
    try:
        extract_features(net.module, np.zeros((1, 3, 48, 48), np.float32), "layr3")
    except ConfigError as error:
        return float("Did you mean 'layer3'?" in str(error))
    return 0.0


def rdm_error(data: Path) -> float:
    """Return the largest difference of RDMs of features from SciPy's, three distances."""
    from scipy.spatial.distance import pdist

    wanted, _, _ = hooked(data)
    flat = wanted["encoder.layer3"].reshape(92, -1).astype(float)
    gaps = []
    for method in ("correlation", "cosine", "euclidean"):
        theirs = pdist(flat, method)
        ours = rdm(wanted["encoder.layer3"], method)
        gaps.append(np.abs(ours - theirs).max() / max(1.0, theirs.max()))
    return float(max(gaps))


def cka_error(data: Path) -> float:
    """Return the difference of CKA from its definition by centring matrices."""
    wanted, _, _ = hooked(data)
    a, b = (wanted[name].reshape(92, -1).astype(float) for name in LAYERS[:2])
    centre = np.eye(92) - 1 / 92
    k, m = (centre @ x @ x.T @ centre for x in (a, b))
    by_hand = np.vdot(k, m) / np.sqrt(np.vdot(k, k) * np.vdot(m, m))
    return abs(float(by_hand) - cka(a, b))


@cache
def compared(data: Path) -> dict[str, float]:
    """Return the figures of the models of rsa92 against human IT."""
    recipe = Compare(models=["92_modelRDMs.mat"], resamples=200, permutations=99)
    run = recipe.run(data / DATA / "92_brainRDMs.mat", scratch() / "rsa92-models")
    found = json.loads((run.folder / "metrics.json").read_text())
    return {key: entry["value"] for key, entry in found.items()}


def published(data: Path) -> float:
    """Return the largest difference from the figures of the literature, eight models."""
    wanted = {
        "animacy": 0.5882, "FaceBodyManmadeNatobj": 0.4053, "monkeyIT": 0.4389, "EVA": 0.3542,
        "HMAX": 0.2217, "V1": 0.0393, "Silhouette": 0.1247, "RADON": 0.0612,
    }  # fmt: skip
    found = compared(data)
    return max(abs(found[f"similarity/{name}"] - value) for name, value in wanted.items())


def species(data: Path) -> float:
    """Return Pearson's correlation of monkey and human IT."""
    monkey, human = (group.rdms("correlation") for group in grouped(read_items(pictures(data))))
    return float(np.corrcoef(monkey[0], human[0])[0, 1])


def alignment_gain(data: Path) -> float:
    """Return how many more odd ones are chosen like people once features are aligned.

    Judgements are made by a known truth, and stimuli held out.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 10))
    truth = x * np.array([2, 2, 2, *[0.0] * 7])
    drawn = np.array([rng.permutation(90)[:3] for _ in range(6000)])
    alike = truth @ truth.T
    pairs = np.stack([alike[drawn[:, a], drawn[:, b]] for a, b in ((0, 1), (0, 2), (1, 2))], 1)
    orders = np.array([[0, 1, 2], [0, 2, 1], [1, 2, 0]])[pairs.argmax(1)]
    judged = np.take_along_axis(drawn, orders, 1)
    right, tested = cross_align(x, judged, 3, rng=rng, penalty=0.01)
    return float(right.mean() - odd_one_out(x, tested).mean())


PICTURES = "92 pictures of rsa92, untrained ResNet-18"
CHECKS = [
    Check(TOOL, "features on disk that differ in any bit from a forward hook's", "== 0",
          unequal_bits, PICTURES),
    Check(TOOL, "features that differ in any bit from a hook's at batch sizes 1, 5 and 16", "== 0",
          unequal_over_batches, PICTURES),
    Check(TOOL, "speed of extraction to disk over the bare net", ">= 0.95", throughput, PICTURES),
    Check(TOOL, "peak memory at 2,000 stimuli over that at 200", "<= 1.3", memory, "synthetic"),
    Check(TOOL, "a wrong layer is answered with the nearest name", "== 1", wrong_layer),
    Check(TOOL, "largest difference of RDMs from SciPy's, three distances", "<= 0.00001", rdm_error,
          PICTURES),
    Check(TOOL, "difference of CKA from its definition", "<= 0.00001", cka_error, PICTURES),
    Check(TOOL, "largest difference of eight models' Spearman with human IT from the known figures",
          "<= 0.0001", published, "rsa92, 4 people"),
    Check(TOOL, "Pearson's correlation of monkey and human IT (published 0.49)", ">= 0.4911",
          species, "rsa92"),
    Check(TOOL, "odd ones chosen like people, aligned minus as they are, stimuli held out",
          ">= 0.1", alignment_gain, "6,000 judgements of a known truth"),
]  # fmt: skip
