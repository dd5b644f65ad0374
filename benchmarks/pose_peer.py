"""The peers' side of `pose.py`: sleap-nn trains and predicts, DeepLabCut only predicts (untrained).

Runs in the environment of the peer that `job["side"]` names and prints one line of JSON.
"""

from __future__ import annotations

import functools
import json
import sys
import tempfile
import time
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch

# The light configuration: the recommended one makes seven steps in five minutes on two cores.
BACKBONE = {
    "unet": {
        "in_channels": 1, "kernel_size": 3, "filters": 16, "filters_rate": 2.0, "max_stride": 16,
        "middle_block": True, "up_interpolate": True, "convs_per_block": 2, "output_stride": 2,
    }
}  # fmt: skip
HEAD = {"single_instance": {"confmaps": {"part_names": None, "sigma": 2.5, "output_stride": 2}}}


def sleap(job: dict) -> dict:
    """Train for so many seconds, judge on the held-out frames, then find points in the video."""
    import lightning
    import sleap_nn.train
    from sleap_nn.inference.run import predict

    # Lightning ends a training in time itself; sleap-nn has no setting for it.
    lightning.Trainer = functools.partial(lightning.Trainer, max_time={"seconds": job["seconds"]})
    with tempfile.TemporaryDirectory() as folder:
        parts = {name: save_part(job, name, Path(folder)) for name in ("train", "test")}
        began = time.perf_counter()
        sleap_nn.train.train(
            train_labels_path=[parts["train"]], scale=0.5, ensure_grayscale=True,
            backbone_config=BACKBONE, head_configs=HEAD, batch_size=4, learning_rate=1e-3,
            max_epochs=10_000, train_steps_per_epoch=50, save_ckpt=True, ckpt_dir=folder,
            run_name="run", trainer_accelerator="cpu", enable_progress_bar=False,
        )  # fmt: skip
        trained = time.perf_counter() - began
        find = functools.partial(
            predict, model_paths=[f"{folder}/run"], device="cpu", peak_threshold=0.0
        )
        error = mean_error(find(parts["test"]), parts["test"])
        began = time.perf_counter()
        found = find(job["video"])
        seconds = time.perf_counter() - began
    return {"error_px": error, "trained_s": trained, "frame_s": seconds / len(found)}


def save_part(job: dict, part: str, folder: Path) -> str:
    """Write the frames to learn from, or those held out, as a file of SLEAP's."""
    import sleap_io

    labels = sleap_io.load_file(job["labels"])
    held = [frame for frame in labels if is_test(frame, job["test"]) == (part == "test")]
    file = folder / f"{part}.pkg.slp"
    chosen = sleap_io.Labels(held)
    chosen.save(str(file), embed="user")
    return str(file)


def is_test(frame: object, globs: list[str]) -> bool:
    names = frame.video.filename
    name = Path(names[frame.frame_idx] if isinstance(names, list) else names).stem
    return any(fnmatch(name, glob) for glob in globs)


def mean_error(found: object, file: str) -> float:
    """Mean distance from labelled to found points, px."""
    import sleap_io

    off = []
    for true, own in zip(sleap_io.load_file(file), found, strict=True):
        assert true.frame_idx == own.frame_idx
        off.append(np.linalg.norm(true[0].numpy()[:, :2] - own[0].numpy()[:, :2], axis=1))
    return float(np.nanmean(off))


def deeplabcut(job: dict) -> dict:
    """Find points with an untrained ResNet-50: what is timed does not depend on the weights."""
    import timm

    plain = timm.create_model
    # No weights can be fetched here; DeepLabCut asks timm for those of ImageNet.
    timm.create_model = lambda *names, **how: plain(*names, **(how | {"pretrained": False}))
    from deeplabcut.pose_estimation_pytorch.apis.utils import get_pose_inference_runner
    from deeplabcut.pose_estimation_pytorch.apis.videos import video_inference
    from deeplabcut.pose_estimation_pytorch.config.make_pose_config import make_pytorch_pose_config
    from deeplabcut.pose_estimation_pytorch.models import PoseModel

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        made = make_pytorch_pose_config(
            Path(job["project"]) / "config.yaml", place / "pytorch_config.yaml", "resnet_50"
        )
        weights = PoseModel.build(made["model"]).state_dict()
        torch.save({"model": weights}, place / "snapshot.pt")
        runner = get_pose_inference_runner(
            made, place / "snapshot.pt", batch_size=1, device="cpu", max_individuals=1
        )
        video_inference(job["few"], runner)
        began = time.perf_counter()
        found = video_inference(job["few"], runner)
        seconds = time.perf_counter() - began
    return {"frame_s": seconds / len(found)}


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    torch.set_num_threads(asked["threads"])
    print(json.dumps({"sleap": sleap, "deeplabcut": deeplabcut}[asked["side"]](asked)))
