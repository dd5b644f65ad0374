"""Judge detectors by the strength of artefacts, judge and keep a forecaster, clean recordings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.run import Run, check_out
from neuroloom.learn.store import read_arrays, write_arrays
from neuroloom.signals.mending.gaps import GapFiller, runs_of
from neuroloom.signals.mending.windows import spread_of

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.learn.study import Prepared
    from neuroloom.signals.artifacts import Artifacts
    from neuroloom.signals.examples.traces import Trace

FILL_RATE = 250.0
JUDGED_GAP = 0.1
BLOCK = 2.0
MOST_FOLDS = 5
RESAMPLES = 1000
UNLABELLED = 0.95
THRESHOLD = 0.5
OVERLAP = 4


def metrics_by_level(
    table: pd.DataFrame, classes: list[str], seed: int
) -> dict[str, dict[str, float | None]]:
    """Return the AUC of artefacts of each strength against all clean windows, and from 6 dB on."""
    from neuroloom.learn.scoring.metrics import summary

    level = table["level"].to_numpy(float)
    clean = (table["y_true"] == "clean").to_numpy()
    found = {}
    for strength in np.unique(level[np.isfinite(level)]):
        rows = table[clean | (level == strength)]
        found[f"auc/{strength:g}dB"] = summary(rows, "classification", classes, seed)["auc"]
    if np.isfinite(level).any():
        rows = table[clean | (level >= 6)]
        found["auc/from 6dB"] = summary(rows, "classification", classes, seed)["auc"]
    return found


@dataclass(frozen=True)
class _Low:
    """A channel at the forecaster's rate."""

    samples: np.ndarray
    rate: float

    def between(self, start: float, stop: float) -> np.ndarray:
        """Return the samples from `start` to `stop` (s)."""
        return self.samples[round(start * self.rate) : round(stop * self.rate)]


def _lowered(samples: np.ndarray, rate: float) -> _Low:
    """Resample to at most the forecaster's rate."""
    from fractions import Fraction

    from scipy.signal import resample_poly

    if rate <= FILL_RATE:
        return _Low(np.asarray(samples, float), rate)
    ratio = Fraction(FILL_RATE / rate).limit_denominator(1000)
    low = resample_poly(np.asarray(samples, float), ratio.numerator, ratio.denominator)
    return _Low(low, rate * ratio.numerator / ratio.denominator)


Channel = tuple[str, str]


def clean_stretches(
    prepared: Prepared, rows: np.ndarray, levels: dict[Channel, float] | None = None
) -> list[np.ndarray]:
    """Return what these windows hold of clean signal, in stretches as long as they go together.

    Parameters
    ----------
    levels
        The mean of each (path, channel), from `levels_of`; those not in it are centred by their
        own. A slow recording goes about its mean, so the mean tells what a gap must make up for.

    Returns
    -------
    Traces (time,) at the forecaster's rate, in robust deviations of their channel.
    """
    found = []
    for key, stretches in _by_channel(prepared, rows).items():
        level = (levels or {}).get(key, float(np.concatenate(stretches).mean()))
        found += [stretch - level for stretch in stretches]
    return found


def levels_of(prepared: Prepared, rows: np.ndarray) -> dict[Channel, float]:
    """Return the mean of the clean signal of each (path, channel) in these windows."""
    parts = _by_channel(prepared, rows)
    return {key: float(np.concatenate(own).mean()) for key, own in parts.items()}


def _by_channel(prepared: Prepared, rows: np.ndarray) -> dict[Channel, list[np.ndarray]]:
    table = prepared.dataset.table.iloc[rows]
    own = table[table["copy"] == 0].sort_values(["path", "channel", "onset"])
    # Where artefacts were put in, the recording below them is clean: only what is held out and the
    # second before it, longer than any window without a label, ends a stretch.
    put_in = bool(table["level"].notna().any())
    own = own if put_in else own[own["label"] == "clean"]
    hole = UNLABELLED if put_in else 0.5 * float((own["stop"] - own["onset"]).min())
    traces = {trace.path: trace for trace in prepared.dataset.extra["traces"]}
    found: dict[Channel, list[np.ndarray]] = {}
    for (path, channel), windows in own.groupby(["path", "channel"], sort=False):
        trace = traces[str(path)]
        samples = trace.x[trace.facts["channels"].index(channel)]
        low = _lowered(samples / spread_of(samples), trace.rate)
        found[str(path), str(channel)] = [low.between(*times) for times in _joined(windows, hole)]
    return found


def _joined(windows: pd.DataFrame, hole: float) -> list[tuple[float, float]]:
    """Join windows with at most `hole` seconds between them: (start, stop) in s."""
    joined: list[tuple[float, float]] = []
    for onset, stop in windows[["onset", "stop"]].itertuples(index=False):
        if joined and onset - joined[-1][1] <= hole:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((onset, stop))
    return joined


def judge_gaps(
    prepared: Prepared, context: float, seed: int, run: Run
) -> dict[str, dict[str, float | None]]:
    """Measure the forecaster on gaps of 100 ms in held-out clean stretches.

    Returns
    -------
    `gap_rmse` in µV: beside it two-sided ridge regression on the same context as the baseline, and
    the standard deviation as chance; the interval is a bootstrap over blocks of 2 s.
    """
    import pandas as pd

    errors = []
    for fold in [fold for fold in prepared.folds if len(fold.test)][:MOST_FOLDS]:
        rate = _fill_rate(prepared)
        filler = GapFiller(rate, context, gaps=(JUDGED_GAP,))
        levels = levels_of(prepared, fold.train)
        filler.fit(clean_stretches(prepared, fold.train, levels), seed)
        errors += _gap_errors(filler, clean_stretches(prepared, fold.test, levels))
    if not errors:
        return {}
    unit = _microvolts(prepared)
    table = pd.concat(errors, ignore_index=True)
    write_atomic(run.folder / "gaps.parquet", lambda path: table.to_parquet(path, index=False))
    own, linear, spread = (unit * np.sqrt(table[name].mean()) for name in ("net", "ridge", "mean"))
    blocks = table.groupby("block")["net"].agg(["sum", "count"]).to_numpy()
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(blocks), size=(RESAMPLES, len(blocks)))
    total = blocks[draws].sum(1)
    low, high = unit * np.sqrt(np.quantile(total[:, 0] / total[:, 1], [0.025, 0.975]))
    row = {"value": own, "low": low, "high": high, "baseline": linear, "chance": spread}
    return {"gap_rmse": {name: float(value) for name, value in row.items()}}


def _gap_errors(filler: GapFiller, traces: list[np.ndarray]) -> list[pd.DataFrame]:
    """Return squared errors of every gap: net, ridge, mean, and its block of time."""
    import pandas as pd

    length, step = filler.lengths[0], max(1, filler.lengths[0] // 5)
    parts = []
    for number, trace in enumerate(traces):
        if len(trace) < 2 * filler.context + length:
            continue
        x = filler.stretches([trace], length, most=10**9, fewest=1)[::step]
        sides, inside = (np.asarray(part) for part in filler.split(x, length))
        block = np.arange(len(x)) * step // round(BLOCK * filler.rate)
        squared = {
            "net": np.square(filler.predict(sides, length) - inside).mean(1),
            "ridge": np.square(filler.predict_linear(sides, length) - inside).mean(1),
            "mean": np.square(inside).mean(1),
        }
        parts.append(pd.DataFrame(squared | {"block": [f"{number}/{b}" for b in block]}))
    return parts


def _fill_rate(prepared: Prepared) -> float:
    return _lowered(np.zeros(8), prepared.dataset.facts["rate"]).rate


def _microvolts(prepared: Prepared) -> float:
    """Return how many µV a robust deviation is, on average over the channels."""
    traces = prepared.dataset.extra["traces"]
    return 1e6 * float(np.mean([spread_of(row) for trace in traces for row in trace.x]))


def keep_filler(prepared: Prepared, context: float, seed: int, run: Run) -> None:
    """Learn a forecaster from all clean stretches and store it in the run."""
    everything = np.arange(len(prepared.dataset))
    filler = GapFiller(_fill_rate(prepared), context)
    filler.fit(clean_stretches(prepared, everything), seed)
    write_arrays(run.folder / "filler.safetensors", filler.state(), filler.spec)


def load_filler(run: Run) -> GapFiller | None:
    """Return the run's forecaster, if it has one."""
    file = run.folder / "filler.safetensors"
    if not file.is_file():
        return None
    arrays, spec = read_arrays(file)
    return GapFiller(**spec).load(arrays)


def clean(
    recipe: Artifacts, run: Run, inputs: list[Path], out: Path | str | None = None
) -> pd.DataFrame:
    """See `Artifacts.predict`."""
    import pandas as pd

    from neuroloom.io.recordings.find import find
    from neuroloom.signals.examples.traces import Source

    if not inputs:
        raise ConfigError("predict needs a file or a folder to clean.")
    if out is not None:
        check_out(Path(out))
    ensemble, filler = recipe.load_model(run), load_filler(run)
    axes = ensemble.facts["axes"]
    tables, cleaned = [], []
    for given in inputs:
        found = find(given, [], recipe.pattern)
        for trace in Source(found, recipe.cut(axes["rate"]), axes, scale="none"):
            table = find_artifacts(recipe, ensemble, trace)
            tables.append(table)
            cleaned.append((trace, *replace_artifacts(trace, table, filler)))
    whole = pd.concat(tables, ignore_index=True)
    if out is not None:
        _write(Path(out), whole, cleaned, run)
    return whole


def find_artifacts(recipe: Artifacts, ensemble: Any, trace: Trace) -> pd.DataFrame:
    """Return the probability of an artefact in windows of every channel, four over each moment."""
    import pandas as pd

    from neuroloom.learn.scoring import calibrate

    length = ensemble.facts["axes"]["n_times"]
    n_times = trace.x.shape[1]
    if n_times < length:
        raise DataError(
            f"{trace.path} lasts {trace.seconds:g} s, less than a window of "
            f"{length / trace.rate:g} s."
        )
    firsts = np.arange(0, n_times - length + 1, max(1, length // OVERLAP))
    if firsts[-1] + length < n_times:
        firsts = np.append(firsts, n_times - length)
    parts = []
    temperature = ensemble.facts["temperature"].get("", 1.0)
    for channel, samples in zip(trace.facts["channels"], trace.x, strict=True):
        x = np.stack([samples[f : f + length] for f in firsts])[:, None] / spread_of(samples)
        p = calibrate.apply(ensemble.scores(x.astype(np.float32)), temperature)
        bad = p[:, ensemble.facts["classes"].index("artifact")]
        table = pd.DataFrame({"onset": firsts / trace.rate, "stop": (firsts + length) / trace.rate})
        table.insert(0, "channel", channel)
        table.insert(0, "path", trace.path)
        parts.append(
            table.assign(p_artifact=bad, decoded=np.where(bad > THRESHOLD, "artifact", "clean"))
        )
    return pd.concat(parts, ignore_index=True)


def replace_artifacts(
    trace: Trace, windows: pd.DataFrame, filler: GapFiller | None
) -> tuple[np.ndarray, pd.DataFrame]:
    """Fill the bad stretches of every channel.

    Returns
    -------
    cleaned
        Shape (channel, time), V.
    stretches
        A row each: channel, onset, stop (s), replaced (False where it is too long to know).
    """
    import pandas as pd

    cleaned, rows = trace.x.astype(float).copy(), []
    for number, channel in enumerate(trace.facts["channels"]):
        own = windows[(windows["channel"] == channel)]
        bad = bad_samples(own, trace.rate, trace.x.shape[1])
        if filler is None:
            left = runs_of(bad)
        else:
            cleaned[number], left = _fill_channel(cleaned[number], bad, trace.rate, filler)
        for first, last in runs_of(bad):
            known = (first, last) not in left
            rows.append((channel, first / trace.rate, last / trace.rate, known))
    return cleaned, pd.DataFrame(rows, columns=["channel", "onset", "stop", "replaced"])


def bad_samples(windows: pd.DataFrame, rate: float, n_times: int) -> np.ndarray:
    """Return which samples (time,) most of the windows over them call an artefact."""
    votes, seen = np.zeros(n_times), np.zeros(n_times)
    for onset, stop, p in windows[["onset", "stop", "p_artifact"]].itertuples(index=False):
        own = slice(round(onset * rate), round(stop * rate))
        votes[own] += p
        seen[own] += 1
    return votes > THRESHOLD * np.maximum(seen, 1)


def _fill_channel(
    samples: np.ndarray, bad: np.ndarray, rate: float, filler: GapFiller
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Fill at the forecaster's rate and bring what was filled back to the recording's."""
    spread = spread_of(samples)
    low = _lowered(samples / spread, rate)
    places = np.arange(len(low.samples)) * rate / low.rate
    marks = np.zeros(len(low.samples), bool)
    for first, last in runs_of(bad):
        marks[int(first * low.rate / rate) : int(np.ceil(last * low.rate / rate)) + 1] = True
    level = float(low.samples[~marks].mean()) if not marks.all() else 0.0
    filled, left_low = filler.fill(low.samples - level, marks)
    filled += level
    whole = samples.astype(float).copy()
    left = []
    for first, last in runs_of(bad):
        begin = int(first * low.rate / rate)
        if any(a <= begin < b for a, b in left_low):
            left.append((first, last))
            continue
        inside = np.arange(first, last)
        whole[first:last] = spread * np.interp(inside, places, filled)
    return whole, left


def _write(out: Path, table: pd.DataFrame, cleaned: list[Any], run: Run) -> None:
    import pandas as pd

    from neuroloom.core.recording import signal
    from neuroloom.io.recordings.annotated import write_annotated

    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "predictions.parquet", lambda path: table.to_parquet(path, index=False))
    write_atomic(out / "predictions.csv", lambda path: table.to_csv(path, index=False))
    parts = []
    for trace, samples, stretches in cleaned:
        parts.append(stretches.assign(path=trace.path))
        marks = pd.DataFrame(
            {
                "onset": stretches["onset"],
                "duration": stretches["stop"] - stretches["onset"],
                "label": np.where(stretches["replaced"], "replaced/", "BAD_artifact/")
                + stretches["channel"].astype(str),
            }
        )
        names, types = trace.facts["channels"], trace.facts["types"]
        made = signal(samples, names, trace.rate, types=types, annotations=marks)
        name = trace.path.replace("/", "_").removesuffix(".gz").rpartition(".")[0]
        write_annotated(made, marks, out / f"{name}_cleaned_raw.fif")
    stretches = pd.concat(parts, ignore_index=True)
    write_atomic(out / "stretches.csv", lambda path: stretches.to_csv(path, index=False))
    counts = {"stretches": len(stretches), "replaced": int(stretches["replaced"].sum())}
    write_json(
        out / "status.json",
        {
            "state": "done",
            "recipe": "predict",
            "run": run.folder.name,
            "windows": len(table),
            **counts,
        },
    )
