"""`signals.pretrain`: learn an encoder from recordings of any montage and rate, without labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import field_validator, model_validator

from neuroloom.core.audit import Finding, refuse_duplicates
from neuroloom.core.errors import ConfigError
from neuroloom.core.files import read_json, write_atomic, write_json
from neuroloom.core.recipe import Recipe, setting
from neuroloom.core.run import check_out
from neuroloom.learn.training.budget import (
    Plan,
    parse_budget,
    plan_time,
    readable_budget,
    seconds_to_train,
)
from neuroloom.learn.training.fit import FitJob, Training

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.signals.pretraining.places import Pieces

HELD_OUT_SHARE = 0.2
STEPS = 400
FACTS: dict[str, Any] = {"role": "model", "fold": "pretraining", "fit": 1, "fits": 1}
TRAINING = Training(batch=32, lr=1e-2, warmup=0.2, weight_decay=1e-2, threads=1)


@dataclass(frozen=True)
class Gathered:
    """Everything read and checked: what `prepare` hands to `work`."""

    learnt: Pieces
    held_out: Pieces
    findings: list[Finding]
    hashes: dict[str, str]


class Pretrain(Recipe):
    """Learn spatial filters of EEG (with `separate`, spectral ones too) from unlabelled recordings.

    Recordings of any rate and montage are brought to one rate and to the 64 places of the 10-10
    system; places that a recording lacks stay empty. Some places are hidden in every window, and
    the encoder learns sources from which they can be put together. It is judged on whole recordings
    that it has not seen, beside spherical splines. `signals.decode --model probe --init RUN` (or
    finetune) uses it.

    Examples
    --------
    >>> Pretrain(exclude=["S001R06*"], hold_out=["S001R12*"]).rate
    100.0
    """

    name: ClassVar[str] = "signals.pretrain"
    summary: ClassVar[str] = "pretrain an encoder on unlabelled EEG of any montage and rate"
    data_kind: ClassVar[str] = "EEG"

    exclude: list[str] = setting(
        [], "globs of files never read: those that later score a decoder", basic=True
    )
    hold_out: list[str] = setting(
        [], "globs of files kept to judge the pretraining; default: a fifth of them", basic=True
    )
    window: float = setting(4.0, "length of what is learnt from", unit="s", ge=1, basic=True)
    band: tuple[float, float] = setting((2.0, 40.0), "pass-band", unit="Hz", basic=True)
    rate: float = setting(100.0, "resample to", unit="Hz", gt=0, basic=True)
    budget: str = setting("3min", "wall time of the training, or '400 steps'", basic=True)
    hide: float = setting(0.3, "share of the places hidden in a window", gt=0, lt=1, basic=True)
    separate: float = setting(0.0, "weight of keeping the sources apart; 0: none", ge=0)
    sources: int = setting(32, "spatial filters", ge=2, le=64)
    bands: int = setting(6, "spectral filters", ge=1, le=16)
    windows: int = setting(60, "windows of a recording, at most, evenly spread", ge=1)
    picks: list[str] = setting([], "channels: names, types, globs; '!name' leaves out")
    include: list[str] = setting([], "globs on file names (or relative paths with /)")
    pattern: str | None = setting(None, 'keys in file names: "{subject}R{run}.edf"')
    seed: int = setting(0, "of weights, order and what is hidden", ge=0)

    _budget_is_readable = field_validator("budget")(readable_budget)

    @model_validator(mode="after")
    def _fields_agree(self) -> Pretrain:
        low, high = self.band
        if not 0 < low < high:
            raise ValueError(f"band must be two frequencies 0 < low < high, got {self.band}")
        if self.rate <= 2 * high:
            raise ValueError(
                f"rate={self.rate:g} Hz cannot hold the band up to {high:g} Hz: "
                f"choose {2.5 * high:g} Hz or more"
            )
        return self

    @property
    def encoder(self) -> dict[str, Any]:
        """Sizes of the encoder, as plain data."""
        sizes = {"rate": self.rate, "band": self.band}
        return sizes | {"sources": self.sources, "bands": self.bands}

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return simulated EEG to try this on, the fields that fit it, and what it is."""
        from neuroloom.signals.story.demo import simulated

        data, _, what = simulated(folder, {})
        return data, {}, what

    def prepare(self, data: Path) -> Gathered:
        """Find, read and cut the recordings, and hold some of them out; nothing is written."""
        from neuroloom import io
        from neuroloom.io.recordings.find import find
        from neuroloom.signals.examples.data import hash_of
        from neuroloom.signals.pretraining.places import without

        found = without(find(data, self.include, self.pattern), self.exclude)
        paths = found.table["path"].astype(str).tolist()
        longest = max(io.peek(found.root / path).duration for path in paths)
        if self.window > longest:
            raise ConfigError(
                f"window: {self.window:g} s is longer than the longest recording ({longest:g} s). "
                "Lower `window`."
            )
        hashes = {path: hash_of(found.root / path) for path in paths}
        refuse_duplicates(hashes)
        held = set(self._held_out(paths))
        outside = found.table["path"].isin(held)
        learnt, kept = (
            self._pieces(replace(found, table=found.table[rows].reset_index(drop=True)))
            for rows in (~outside, outside)
        )
        for pieces, what in ((learnt, "to learn from"), (kept, "held out")):
            if len(pieces.table) == 0:
                raise ConfigError(f"No recording {what} is as long as window={self.window:g} s.")
        findings = [Finding("note", "How the files were read", found.layout), *_remarks(learnt)]
        return Gathered(learnt, kept, findings, hashes)

    def _held_out(self, paths: list[str]) -> list[str]:
        """Return the files that judge: those named, else a fifth of them, drawn."""
        from neuroloom.signals.pretraining.places import matching

        held = matching(paths, self.hold_out, "hold_out")
        if not held and len(paths) > 1:
            count = max(1, round(HELD_OUT_SHARE * len(paths)))
            rng = np.random.default_rng([self.seed, 3])
            held = rng.choice(paths, count, replace=False).tolist()
        if not held or len(held) == len(paths):
            raise ConfigError(
                f"Pretraining needs recordings to learn from and others to judge by; there are "
                f"{len(paths)}, of which {len(held)} are held out."
            )
        return held

    def _pieces(self, found: Any, *, whole: bool = False) -> Pieces:
        from neuroloom.signals.pretraining.places import read_pieces

        return read_pieces(
            found, window=self.window, rate=self.rate, band=self.band, picks=self.picks,
            most=None if whole else self.windows, step=self.window if whole else None,
        )  # fmt: skip

    def work(self, prepared: Gathered, run: Run) -> None:
        """Train, judge on the held-out recordings, store, draw and report."""
        from neuroloom.signals.pretraining.reconstruction import judge
        from neuroloom.signals.story.pretrain import write_card

        self._record(prepared, run)
        module, history = self._fit(prepared, run)
        self._keep(module, run)
        judge(module, prepared.held_out, self, run)
        run.log("scored", windows=len(prepared.held_out.table))
        self.illustrate(run, prepared, module, history)
        write_card(self, run, prepared)
        run.log("reported", report=self.report(run).name)

    def _record(self, prepared: Gathered, run: Run) -> None:
        """Write what was read; on resume and replay, refuse data that changed."""
        learnt, held_out = prepared.learnt, prepared.held_out
        facts = {
            "files": prepared.hashes,
            "learnt": list(learnt.places),
            "held_out": list(held_out.places),
            "windows": {"learnt": len(learnt.table), "held_out": len(held_out.table)},
            "places": learnt.places | held_out.places,
            "rates": learnt.rates | held_out.rates,
        }
        run.write_dataset(facts)
        write_json(run.folder / "audit.json", [f.as_dict() for f in prepared.findings])
        for finding in prepared.findings:
            run.log("audit", **finding.as_dict())

    def module(self, recordings: int) -> Any:
        """Return the untrained module."""
        from neuroloom.learn.training.fit import own_randomness
        from neuroloom.signals.nets.powertokens import MaskedPlaces

        with own_randomness(self.seed):
            return MaskedPlaces(self.encoder, self.hide, self.separate, recordings)

    def _fit(self, prepared: Gathered, run: Run) -> tuple[Any, list[dict[str, Any]]]:
        """Train by the stored plan, or settle one by measured speed; goes on after a cut."""
        from neuroloom.learn.training.crossfit import note_turns
        from neuroloom.learn.training.fit import fit

        x, y = prepared.learnt.x, prepared.learnt.table["recording"].to_numpy(np.int64, copy=True)
        recordings = int(y.max()) + 1
        plan = self._plan(x, y, recordings, run)
        checkpoint = run.work_folder / "model.checkpoint.safetensors"
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        job = FitJob(
            seed=self.seed, epochs=plan.epochs, steps=plan.steps, checkpoint=checkpoint,
            seconds=plan.seconds, all_seconds=plan.all_seconds, turns=plan.turns.get("model", {}),
            progress=lambda line: run.tell({"event": "progress", **FACTS, **line}),
        )  # fmt: skip
        module = self.module(recordings)
        history = fit(module, x, y, TRAINING, job)
        note_turns(run, plan, "model", history.turns)
        run.log("fitted", seed=self.seed, **FACTS, learnt=len(x), stopped=history.stopped)
        return module.to("cpu"), history.epochs

    def _plan(self, x: np.ndarray, y: np.ndarray, recordings: int, run: Run) -> Plan:
        from neuroloom.learn.training.fit import count_steps, fit

        file, budget = run.folder / "plan.json", parse_budget(self.budget)
        if file.is_file():
            return Plan(**read_json(file))
        plan = Plan(budget.epochs, budget.steps, f"as asked for ({self.budget})")
        if budget.seconds is not None:
            probe = fit(self.module(recordings), x, y, TRAINING, FitJob(seed=self.seed, steps=6))
            _, per_epoch = count_steps(len(x), TRAINING, FitJob())
            seconds = max(seconds_to_train(budget.seconds, run.elapsed), 1.0)
            ceiling = -(-STEPS // per_epoch)
            each = probe.step_seconds * per_epoch
            plan = plan_time(seconds, each, 1, ceiling, steps=per_epoch)
        write_json(file, plan.as_dict())
        run.log("plan", **plan.as_dict())
        return plan

    def _keep(self, module: Any, run: Run) -> None:
        """Store the encoder and the decoder with the sizes that rebuild them."""
        from neuroloom.learn.store import write_arrays

        arrays = {name: value.detach().numpy() for name, value in module.state_dict().items()}
        write_arrays(run.folder / "model.safetensors", arrays, {"encoder": self.encoder})

    def illustrate(
        self, run: Run, prepared: Gathered, module: Any, history: list[dict[str, Any]]
    ) -> None:
        """Draw the learning curve and hidden places put together."""
        from neuroloom.signals.story.pretrain import illustrate

        illustrate(self, run, prepared, module, history)

    def predict(self, run: Run, inputs: list[Path], out: Path | str | None = None) -> pd.DataFrame:
        """Return the features of new recordings, window by window.

        Parameters
        ----------
        run
            A finished run.
        inputs
            Files or folders.
        out
            Where `predictions.parquet` and `.csv` are written; None writes nothing.

        Returns
        -------
        DataFrame
            path, onset, stop (s), f0, f1, …: the log power of each source in each band.
        """
        import pandas as pd
        import torch

        from neuroloom.io.recordings.find import find
        from neuroloom.signals.nets.powertokens import PowerTokens, load_encoder
        from neuroloom.signals.pretraining.pretrained import load_pretrained

        if not inputs:
            raise ConfigError("predict needs a file or a folder.")
        if out is not None:
            check_out(Path(out))
        sizes, weights = load_pretrained(str(run.folder))
        encoder = PowerTokens(**sizes).eval()
        load_encoder(encoder, weights)
        parts = []
        for source in inputs:
            pieces = self._pieces(find(source, [], self.pattern), whole=True)
            with torch.inference_mode():
                features = encoder(torch.as_tensor(pieces.x)).mean(2).numpy()
            names = [f"f{k}" for k in range(features.shape[1])]
            head = pieces.table[["path", "onset", "stop"]]
            parts.append(head.join(pd.DataFrame(features, columns=names)))
        table = pd.concat(parts, ignore_index=True)
        if out is not None:
            folder = Path(out)
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / "predictions.parquet", lambda p: table.to_parquet(p, index=False))
            write_atomic(folder / "predictions.csv", lambda p: table.to_csv(p, index=False))
            facts = {"run": run.folder.name, "examples": len(table)}
            write_json(folder / "status.json", {"state": "done", "recipe": "predict", **facts})
        return table

    def report(self, run: Run) -> Path:
        """Write `report.html` from the files of the run."""
        from neuroloom.core.report import write_report

        return write_report(run.folder)


def _remarks(pieces: Pieces) -> list[Finding]:
    """Say which recordings teach nothing about space."""
    lone = [path for path, places in pieces.places.items() if len(places) < 2]
    if not lone:
        return []
    names = ", ".join(lone[:4]) + (", …" if len(lone) > 4 else "")
    what = (
        f"{len(lone)} recordings have a single place of the montage ({names}): nothing can be "
        "hidden in them, so they teach the encoder nothing unless `separate` is above 0."
    )
    return [Finding("note", "Recordings of one place", what)]
