"""One side of `nets.py`, in either environment: each line in is a job, each line out its times."""

from __future__ import annotations

import json
import sys
import time
import types
import warnings
from importlib import import_module

warnings.filterwarnings("ignore")

import torch  # noqa: E402


def main() -> None:
    lend_fftconvolve()
    for line in sys.stdin:
        print(json.dumps(time_steps(json.loads(line))), flush=True)


def lend_fftconvolve() -> None:
    """Put a working `fftconvolve` into the stand-in for torchaudio that `peers.py` installs."""
    try:
        functional = import_module("torchaudio.functional")
    except ImportError:
        return
    if not isinstance(functional.fftconvolve, types.FunctionType):
        functional.fftconvolve = fftconvolve


def fftconvolve(x: torch.Tensor, y: torch.Tensor, mode: str = "full") -> torch.Tensor:
    """Convolve the last axes by way of the spectrum, as torchaudio documents it."""
    full = x.shape[-1] + y.shape[-1] - 1
    product = torch.fft.rfft(x, n=full) * torch.fft.rfft(y, n=full)
    out = torch.fft.irfft(product, n=full)
    if mode == "full":
        return out
    start = (full - x.shape[-1]) // 2
    return out[..., start : start + x.shape[-1]]


def time_steps(job: dict) -> dict:
    """Build a net and return the seconds of each of its training steps.

    `job` holds place ("module:Class"), arguments, shape (with the batch), steps and threads. A step
    is forward, cross entropy, backward, AdamW and, where the net has it, `constrain()`.
    """
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    module, _, name = job["place"].partition(":")
    net = getattr(import_module(module), name)(**job["arguments"]).train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3)
    x = torch.randn(job["shape"])
    times = []
    for number in range(job["steps"] + 1):
        start = time.perf_counter()
        optimiser.zero_grad()
        scores = net(x)
        if number == 0:
            y = torch.randint(scores.shape[1], (len(scores), *scores.shape[2:]))
        torch.nn.functional.cross_entropy(scores, y).backward()
        optimiser.step()
        if hasattr(net, "constrain"):
            net.constrain()
        times.append(time.perf_counter() - start)
    trained = sum(p.numel() for p in net.parameters() if p.requires_grad)
    return {"times": times[1:], "parameters": trained}


if __name__ == "__main__":
    main()
