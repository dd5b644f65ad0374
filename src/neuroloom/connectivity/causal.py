"""`connectivity.causal`: who drives whom in a network, from its signals."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import field_validator

from neuroloom.core.audit import Finding
from neuroloom.core.files import digest, write_json
from neuroloom.core.recipe import Recipe, setting

if TYPE_CHECKING:
    from neuroloom.connectivity.data import Signals
    from neuroloom.connectivity.networks import Network
    from neuroloom.core.run import Run

Model = Literal[
    "auto", "vardnn-di", "vardnn-gc", "lstm-var", "transformer-var", "ridge-var", "lasso-var",
    "pc-var", "mvgc", "pwgc", "partial", "correlation", "skew", "cyclic-lingam", "pcmci",
]  # fmt: skip


@dataclass(frozen=True)
class Prepared:
    """Recordings by network, the hashes of their files, and what the audit noticed."""

    networks: list[list[Signals]]
    files: dict[str, str]
    findings: list[Finding] = field(default_factory=list)


class Causal(Recipe):
    """Draw the directed graph of a network from signals of its nodes.

    Either forecasts show it (what a source did helps to foretell a target), or the non-Gaussian
    shape of effects within a frame; `auto` lets unseen frames decide, and says so where they
    support no direction at all. Edges come with p-values against surrogates, a false discovery
    rate, intervals, and their stability over recordings.

    Examples
    --------
    >>> Causal(model="ridge-var", lags=2).alpha
    0.05
    """

    name: ClassVar[str] = "connectivity.causal"
    summary: ClassVar[str] = "draw the directed graph of a network from its signals"
    data_kind: ClassVar[str] = "Sequences"
    beside: ClassVar[tuple[str, ...]] = (
        "inputs", "control", "input_control", "atlas", "truth", "places",
    )  # fmt: skip

    model: Model = setting(
        "auto", "method; auto chooses between families from the data", basic=True
    )
    lags: int | None = setting(
        None, "time points back; default: by forecasts of unseen spans", ge=1, le=50, basic=True
    )
    inputs: str | None = setting(
        None, "file of known influences, (input, time); default: exSignal of a .mat", basic=True
    )
    control: str | None = setting(
        None, "matrix of edges that may exist, rows are targets; default: all", basic=True
    )
    atlas: str | None = setting(None, "image of regions, where the data are NIfTI", basic=True)
    groups: str | None = setting(
        None, "column of participants.tsv or key of the pattern: compare two groups", basic=True
    )
    alpha: float = setting(0.05, "false discovery rate of edges", gt=0, lt=0.5, basic=True)
    input_control: str | None = setting(None, "matrix of inputs that may drive which nodes")
    sources: list[str] = setting([], "nodes that nothing may drive, such as what was shown")
    drop: list[str] = setting([], "nodes to leave out")
    truth: str | None = setting(None, "matrix of the true graph; default: found beside the data")
    places: str | None = setting(None, "table name, x, y, z (mm); default: coordinates.csv, atlas")
    confounds: list[str] | None = setting(None, "columns to take out of images; default: the usual")
    transform: Literal["standard", "sigmoid"] = setting("standard", "of every node's values")
    missing: Literal["refuse", "interpolate"] = setting("refuse", "frames that are not finite")
    penalty: float | None = setting(None, "ridge of the forecaster; default: by unseen spans", ge=0)
    sparse: float | None = setting(None, "L1 of cyclic-lingam, lasso-var; default: by unseen", ge=0)
    hidden: int | None = setting(None, "units of a node's net; default: by unseen spans", ge=2)
    budget: str = setting("50 epochs", "of each net of a node: '50 epochs'")
    seeds: int = setting(1, "nets a node whose graphs are averaged", ge=1)
    seed: int = setting(1, "of the first net and of the surrogates", ge=0)
    surrogates: int | None = setting(
        None, "data sets behind each p-value, 0 for none; default: 20, 8 for nets", ge=0
    )
    include: list[str] = setting([], "only files whose names match one of these globs")
    pattern: str | None = setting(None, "keys in the file names: '{subject}_{run}.csv'")

    @field_validator("budget")
    @classmethod
    def _in_epochs(cls, text: str) -> str:
        from neuroloom.learn.training.budget import parse_budget, readable_budget

        if parse_budget(readable_budget(text)).epochs is None:
            raise ValueError(f"nets of nodes are counted in epochs ('50 epochs'), got '{text}'")
        return text

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return simulated signals, the fields of a short run, and what they are."""
        from neuroloom.connectivity import demo

        return demo.chain(folder, {"surrogates": 9})

    def prepare(self, data: Path) -> Prepared:
        """Read and check every recording; nothing is written."""
        from neuroloom.connectivity.networks import prepare_networks

        networks, files, findings = prepare_networks(self, data)
        root = data if data.is_dir() else data.parent
        hashes = {file.relative_to(root).as_posix(): digest(file) for file in files}
        return Prepared(networks, hashes, findings)

    def work(self, prepared: Prepared, run: Run) -> None:
        """Choose, draw and test the graph of every network, and report."""
        from neuroloom.connectivity.networks import work_out

        names = [[one.name for one in network] for network in prepared.networks]
        run.write_dataset({"files": prepared.files, "networks": names})
        write_json(run.folder / "audit.json", [found.as_dict() for found in prepared.findings])
        for found in prepared.findings:
            run.log("audit", **found.as_dict())
        done = []
        for number, network in enumerate(prepared.networks, 1):
            done.append(work_out(self, network))
            place = {"role": "network", "fit": number, "fits": len(names)}
            run.log("fitted", model=done[-1].choice.model, recordings=len(network), **place)
        plan = {"reason": "; ".join(dict.fromkeys(one.plan for one in done))}
        write_json(run.folder / "plan.json", plan)
        run.log("plan", **plan)
        self.illustrate(run, prepared, done)

    def illustrate(self, run: Run, prepared: Prepared, done: list[Network]) -> None:
        """Write edges, metrics, figures and the report."""
        from neuroloom.connectivity.story import report_graphs

        report_graphs(self, run, prepared, done)
