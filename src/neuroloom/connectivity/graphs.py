"""`connectivity.graphs`: learn a class or a number of connectomes, or the types of their nodes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from neuroloom.connectivity.connectomes import examples
from neuroloom.connectivity.connectomes.collect import collect
from neuroloom.core.audit import Finding
from neuroloom.core.dataset import Dataset
from neuroloom.core.recipe import setting
from neuroloom.core.split import Fold
from neuroloom.learn.study import Prepared, Study

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.learn.training.crossfit import Fitted


class Graphs(Study):
    """Learn from connectomes: what whole graphs are, or what type each node is.

    Types of nodes are learnt where a file beside a connectome has one for each; else `target`
    names a column of the table beside. Ridge on every edge and a linear model of degrees alone are
    always judged on the same folds. The audit looks for sites and other columns that tell the
    label, and no score is shown without what the site alone reaches.

    Examples
    --------
    >>> Graphs(target="diagnosis", split="site", model="gcn").model
    'gcn'
    """

    name: ClassVar[str] = "connectivity.graphs"
    summary: ClassVar[str] = "learn classes, numbers or types of nodes from connectomes"
    data_kind: ClassVar[str] = "connectomes: matrices, edge lists, GraphML"
    family: ClassVar[str] = "graph"

    model: str = setting("auto", "what is trained", basic=True, kind="model")
    target: str | None = setting(None, "column to learn (of nodes: their type)", basic=True)
    split: Literal["subject", "session", "run", "site", "time", "random"] | None = setting(  # type: ignore[assignment]
        None, "what is held out whole; default: subjects, of nodes: whole graphs", basic=True
    )
    site: str | None = setting(
        None, "column with site or scanner; default: one of that name", basic=True
    )
    covariates: list[str] = setting(
        [], "columns that might tell the label; default: all of the table", basic=True
    )
    weights: Literal["auto", "raw", "log"] = setting(
        "auto", "take the logarithm of weights; auto: of counts with a long tail", basic=True
    )
    include: list[str] = setting([], "globs on file names (or relative paths with /)")
    explain: bool = setting(True, "test which edges and regions the model rests on")

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return simulated connectomes, the fields of a short run, and what they are."""
        from neuroloom.connectivity import demo

        return demo.connectomes(folder, {"target": "diagnosis", "folds": 2, "budget": "10 epochs"})

    def read(self, data: Path) -> Dataset:
        """Read all connectomes and what there is to learn of them."""
        wish = examples.Wish(
            self.target, self.site, tuple(self.covariates), self.weights, self.split
        )
        return examples.make_examples(collect(data, self.include, self.target), wish)

    def read_like(self, facts: dict[str, Any], data: Path, include: list[str]) -> Dataset:
        """Read new connectomes the way the run's were; what is learnt need not be known."""
        return examples.examples_like(facts, collect(data, include, self.target))

    def baseline(self, task: str) -> str | None:
        """Name ridge on edges, or the model of degrees beside ridge itself."""
        return "degree" if self.model == "ridge" else "ridge"

    def roles(self, task: str) -> dict[str, str]:
        """Return role -> model; degrees are always judged too."""
        more = {} if self.model in ("ridge", "degree") else {"degree": "degree"}
        plain = super().roles(task)
        return {"baseline": plain["baseline"], **more, "model": plain["model"]}

    def prepare(self, data: Path) -> Prepared:
        """Read, check, audit and split; nodes of one graph are dealt at random."""
        from neuroloom.connectivity.connectomes.confounds import audit_leave_one_out

        prepared = super().prepare(data)
        more = audit_leave_one_out(prepared.dataset, prepared.folds)
        alone = prepared.by == "time"
        by = "node" if alone else prepared.by
        return replace(prepared, findings=[*prepared.findings, *more], by=by)

    def _split(self, dataset: Dataset, by: str) -> list[Fold]:
        from neuroloom.connectivity.connectomes.folds import deal

        plain = examples.Deal(by, self.folds, bool(self.test), self.per, self.seed)
        folds = deal(dataset, plain)
        return super()._split(dataset, by) if folds is None else folds

    def audit(self, dataset: Dataset) -> list[Finding]:
        """Look for columns that tell the label, and that connectomes tell."""
        from neuroloom.connectivity.connectomes.confounds import audit_confounds

        return audit_confounds(dataset) if dataset.facts["level"] == "graph" else []

    def _new_plan(self, prepared: Prepared, run: Run) -> Any:
        from neuroloom.learn.training.budget import Plan

        if not hasattr(self._maker(self.find(self.model), prepared.dataset)(), "training"):
            return Plan(reason="solved directly: no epochs")
        return super()._new_plan(prepared, run)

    def _judge(self, prepared: Prepared, run: Run, results: dict[str, Any]) -> pd.DataFrame:
        from neuroloom.connectivity.connectomes.scores import add_graph_scores

        table = super()._judge(prepared, run, results)
        add_graph_scores(run.folder, table, prepared, self.seed)
        return table

    def illustrate(self, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
        """Draw the result and what it rests on, and say it in `facts.json`."""
        from neuroloom.connectivity.connectomes.story import illustrate

        illustrate(self, run, prepared, fits)

    def predict(self, run: Run, inputs: list[Path], out: Path | str | None = None) -> pd.DataFrame:
        """Predict what new connectomes, or their nodes, are.

        Parameters
        ----------
        run
            A finished run.
        inputs
            Folders, tables or files.
        out
            Where `predictions.parquet` and `.csv` are written; None writes nothing.

        Returns
        -------
        DataFrame
            name, path, subject, label (if known), predicted, p_<class>.
        """
        from neuroloom.learn.apply import predict_examples

        wants = "a folder, a table or a file of connectomes"
        return predict_examples(self, run, inputs, out, wants)
