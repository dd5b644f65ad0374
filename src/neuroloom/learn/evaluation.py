"""A run's model scored on the labelled examples of other data, and whether it has met them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroloom.core import audit
from neuroloom.core.audit import Finding
from neuroloom.core.dataset import UNITS, Dataset
from neuroloom.core.errors import DataError
from neuroloom.core.files import read_json, write_json
from neuroloom.core.run import Run, check_out
from neuroloom.core.split import default_unit, unit_keys
from neuroloom.learn.model import Model
from neuroloom.learn.scoring.written import add_scores, with_scores, write_scores

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.learn.store import Ensemble
    from neuroloom.learn.study import Study


@dataclass(frozen=True)
class Evaluation:
    """One study's run, judged on other data than its own."""

    study: Study
    run: Run

    def of(self, data: Path, out: Path | None, include: list[str]) -> pd.DataFrame:
        """Return the metrics; see `Study.evaluate`."""
        import pandas as pd

        if out is not None:
            check_out(out)
        models = self._stored()
        everything = self.study.read_like(models["model"].facts, data, include)
        dataset = everything.labelled()
        if len(dataset) == 0:
            raise DataError(f"{data}: none of its {len(everything)} examples has a label to score.")
        names = self.study.roles(models["model"].facts["task"])
        seen, alone = self._seen_before(dataset, {role: names[role] for role in models})
        if alone:
            del models["baseline"]
        table = pd.concat(self._predicted(models, dataset), ignore_index=True)
        counts = {"labelled": len(dataset), "unlabelled": len(everything) - len(dataset)}
        findings = [found.as_dict() for found in [*dataset.findings, *seen, *alone]]
        return self._report(table, dataset, counts, findings, out)

    def _stored(self) -> dict[str, Ensemble]:
        """Return the models that the run has kept, by role."""
        roles = ("model", "baseline")
        kept = [role for role in roles if (self.run.folder / f"{role}.safetensors").is_file()]
        return {role: self.study.load_model(self.run, role) for role in kept}

    def _predicted(self, models: dict[str, Ensemble], dataset: Dataset) -> list[pd.DataFrame]:
        """Return the prediction rows of each model."""
        study, told = self.study, self.run.telling("scoring")
        units = _units(dataset.table, models["model"].facts["by"])
        parts = []
        for number, (role, ensemble) in enumerate(models.items()):
            told(number, len(models))
            name = study.called() if role == "model" else ensemble.name
            head = {"fold": 0, "unit": units, "seed": study.seed, "model": name, "role": role}
            parts.append(study.tabulate_new(ensemble, dataset, head))
        return parts

    def _report(
        self,
        table: pd.DataFrame,
        dataset: Dataset,
        counts: dict[str, int],
        findings: list[dict[str, Any]],
        out: Path | None,
    ) -> pd.DataFrame:
        """Score rows, and write what is asked for."""
        from neuroloom.learn.scoring.metrics import metric_table

        kind = self.study.judged_as(dataset)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            write_scores(out, table, *kind, self.study.seed)
            write_json(out / "audit.json", findings)
            files = {"run": self.run.folder.name, "files": dataset.extra["hashes"]}
            write_json(out / "evaluation.json", counts | files)
            status = {"state": "done", "recipe": self.study.name, **counts}
            write_json(out / "status.json", status)
        metrics = metric_table(table, *kind)
        if more := self.study.own_scores(table, dataset):
            if out is not None:
                add_scores(out, more)
            metrics = with_scores(metrics, more)
        metrics.attrs |= {**counts, "findings": findings}
        return metrics

    def _seen_before(
        self, dataset: Dataset, names: dict[str, str]
    ) -> tuple[list[Finding], list[Finding]]:
        """Compare new data with what was learnt from, by the content of files.

        Parameters
        ----------
        names
            Role -> model of what is stored.

        Returns
        -------
        What is to be said of what the model has learnt from, and of what the baseline alone has.
        """
        learnt = {role: self._learnt_from(self.study.find(name)) for role, name in names.items()}
        alone = learnt.get("baseline", set()) - learnt["model"]
        hashes = dataset.extra["hashes"]
        rows = dataset.table[["path", "name"]].astype(str).itertuples(index=False)
        files = [_file_of(path, name, hashes) for path, name in rows]
        return (
            audit.audit_seen(files, hashes, learnt["model"]),
            audit.audit_baseline(files, hashes, alone, names.get("baseline", "")),
        )

    def _learnt_from(self, model: Model) -> set[str]:
        """Return the hashes of the files that a stored model of the run has learnt from."""
        known = read_json(self.run.folder / "dataset.json")
        held_out = [set(fold["test"]) for fold in known["split"]["folds"]]
        never = set() if self.study.refits(model) else set.intersection(*held_out)
        files = {
            _file_of(row["path"], row["name"], known["files"])
            for row in known["rows"]
            if row["name"] not in never
        }
        return {known["files"][file] for file in files if file in known["files"]}


def _units(table: pd.DataFrame, by: str) -> list[str]:
    """Return each row's unit for the interval: as in the run, else the widest that varies."""
    unit = by if by in UNITS and table[by].nunique() > 1 else default_unit(table)
    return unit_keys(table, unit) if unit in UNITS else ["all"] * len(table)


def _file_of(path: str, name: str, files: Mapping[str, str]) -> str:
    """Return the file that an example is read from: a recording, or the picture of its name."""
    return path if path in files else name.partition("::")[0]
