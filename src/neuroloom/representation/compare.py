"""`representation.compare`: how alike nets, brains and judgements are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import field_validator

from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import digest, names_apart, whole_if_there, write_atomic, write_json
from neuroloom.core.recipe import Recipe, setting

if TYPE_CHECKING:
    from neuroloom.core.run import Run
    from neuroloom.representation.items import Group
    from neuroloom.representation.judged import Outcome


@dataclass(frozen=True)
class Prepared:
    """What is compared with what."""

    reference: Group | None
    models: list[Group]
    labels: list[Any] | None
    triplets: Any
    files: dict[str, str]
    findings: list[Finding] = field(default_factory=list)

    @property
    def groups(self) -> list[Group]:
        """All, the reference first."""
        return [*([self.reference] if self.reference else []), *self.models]

    @property
    def stimuli(self) -> list[str]:
        """Names of the stimuli; their numbers where none are known."""
        items = [item for group in self.groups for item in group.items]
        known = next((item.stimuli for item in items if item.stimuli), ())
        return list(known) or [str(k) for k in range(items[0].count)]


class Compare(Recipe):
    """Compare representations: RDMs, CKA, encoding, decoding, probing, odd-one-out judgements.

    DATA is what models are compared with: RDMs or responses of one or more subjects, in a file, a
    folder or a run. Every figure has an interval over stimuli and subjects, a chance level, and a
    noise ceiling where there are subjects.

    Examples
    --------
    >>> Compare(models=["92_modelRDMs.mat"]).similarity
    'spearman'
    """

    name: ClassVar[str] = "representation.compare"
    summary: ClassVar[str] = "compare features of nets with brains and behaviour, ceilings included"
    data_kind: ClassVar[str] = "Images"

    models: list[str] = setting(
        [], "files, folders or runs with features or RDMs to compare with DATA", basic=True
    )
    reference: list[str] = setting(
        [], "globs on names in DATA: what the others are compared with", basic=True
    )
    method: Literal["rsa", "cka", "encode", "decode", "banded", "probe", "odd-one-out"] = setting(
        "rsa", "what is measured", basic=True
    )
    distance: Literal["correlation", "euclidean", "squared-euclidean", "cosine", "gaussian"] = (
        setting("correlation", "between stimuli, where features become RDMs", basic=True)
    )
    similarity: Literal[
        "spearman", "pearson", "cosine", "kendall", "tau-a", "rho-a", "whitened-pearson",
        "whitened-cosine",
    ] = setting("spearman", "of RDMs", basic=True)  # fmt: skip
    layers: list[str] = setting([], "globs on names of features; default: all", basic=True)
    labels: str | None = setting(
        None, "a table with a class each stimulus (probe), or judgements (odd-one-out)", basic=True
    )
    kernel: Literal["linear", "rbf"] = setting("linear", "of CKA")
    unbiased: bool = setting(True, "take the unbiased estimate of CKA")
    regression: Literal["ridge", "pls"] = setting("ridge", "behind encode and decode")
    components: int = setting(100, "principal components to decode, or to read from", ge=1)
    folds: int = setting(5, "into which stimuli are put", ge=2)
    resamples: int = setting(1000, "of each bootstrap", ge=200)
    permutations: int = setting(1000, "of stimuli, for chance and p", ge=99)
    include: list[str] = setting([], "only files of models whose names match one of these globs")
    seed: int = setting(1, "of resamples, permutations and folds", ge=0)

    @field_validator("models")
    @classmethod
    def _models_hold_anywhere(cls, models: list[str]) -> list[str]:
        return [whole_if_there(name) for name in models]

    @field_validator("labels")
    @classmethod
    def _labels_hold_anywhere(cls, labels: str | None) -> str | None:
        return labels and whole_if_there(labels)

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return simulated dissimilarities, the fields of a short run, and what they are."""
        from neuroloom.representation.story import demo

        return demo.matrices(folder, {"reference": ["it"], "resamples": 200, "permutations": 99})

    def prepare(self, data: Path) -> Prepared:
        """Read everything and see that it fits; nothing is written."""
        from neuroloom.representation.items import (
            grouped,
            read_items,
            same_stimuli,
            select,
        )
        from neuroloom.representation.targets import read_labels

        here = grouped(read_items(data, self.layers))
        given = [data]
        others: list[Group] = []
        for path in self._paths(data):
            given.append(path)
            others += grouped(read_items(path, self.layers))
        reference, models = self._sides(here, others, select)
        groups = same_stimuli([*([reference] if reference else []), *models])
        reference, models = (groups[0], groups[1:]) if reference else (None, groups)
        labels = triplets = None
        if self.labels:
            path = self._labels(data)
            given.append(path)
            if self.method == "odd-one-out":
                triplets = read_labels(path, judgements=True)
            else:
                labels = read_labels(path)[0].tolist()
        prepared = Prepared(reference, models, labels, triplets, {}, self._findings(groups))
        if labels is not None and len(labels) != len(prepared.stimuli):
            raise DataError(
                f"labels: {len(labels)} classes for {len(prepared.stimuli)} stimuli; expected one "
                "each, in their order."
            )
        return replace(prepared, files=_hashes(given))

    def _paths(self, data: Path) -> list[Path]:
        """Return the models' files; names that are not here are looked for beside DATA."""
        beside = data if data.is_dir() else data.parent
        found: list[Path] = []
        for name in self.models:
            places = [Path(name), beside / name]
            hits = [place for place in places if place.exists()]
            if not hits and any(sign in name for sign in "*?["):
                hits = sorted(Path().glob(name)) or sorted(beside.glob(name))
                found += hits[:-1]
                hits = hits[-1:]
            found.append(hits[0] if hits else Path(name))
        if self.include:
            found = [path for path in found if any(path.match(glob) for glob in self.include)]
        return found

    def _labels(self, data: Path) -> Path:
        assert self.labels is not None
        beside = (data if data.is_dir() else data.parent) / self.labels
        path = Path(self.labels) if Path(self.labels).is_file() else beside
        if not path.is_file():
            raise ConfigError(f"labels: there is no file {self.labels}.")
        return path

    def _sides(
        self, here: list[Group], others: list[Group], select: Any
    ) -> tuple[Group | None, list[Group]]:
        """Return the reference and the models; no reference where all are compared with all."""
        if self.method in ("probe", "odd-one-out"):
            if not self.labels:
                raise ConfigError(f"method={self.method} needs `labels`: a table.")
            return None, _apart([*here, *others])
        if self.reference:
            mine, rest = select(here, self.reference)
            others = [*rest, *others]
        else:
            mine = here
        if len(mine) == 1 and others:
            first, *models = _apart([*mine, *others])
            return first, models
        names = ", ".join(group.name for group in mine[:9])
        if others:
            raise ConfigError(
                f"DATA holds {len(mine)} things ({names}); say which one the models are compared "
                "with: --reference NAME."
            )
        if len(mine) < 2:
            raise ConfigError(
                f"There is only '{names}'. Name what it is compared with: --models FILE."
            )
        # All with all, in turn with the first.
        first, *models = _apart(mine)
        return first, models

    def _findings(self, groups: list[Group]) -> list[Finding]:
        count = groups[0].items[0].count
        told = [Finding("note", "Stimuli", f"{count} stimuli, {len(groups)} representations.")]
        if count < 20:
            told.append(
                Finding(
                    "warning", "Few stimuli", f"{count} stimuli say little: intervals are wide."
                )
            )
        people = len(groups[0].items)
        if self.method == "rsa" and people < 2:
            told.append(
                Finding("warning", "One subject", "The reference has one subject: there is no "
                        "noise ceiling, and intervals hold for other stimuli alone.")
            )  # fmt: skip
        elif people < 10 and self.method not in ("probe", "odd-one-out"):
            told.append(Finding("note", "Few subjects", f"Intervals rest on {people} subjects."))
        return told

    def work(self, prepared: Prepared, run: Run) -> None:
        """Compare, and report."""
        from neuroloom.representation import judged

        run.write_dataset({"files": prepared.files, "stimuli": prepared.stimuli})
        write_json(run.folder / "audit.json", [found.as_dict() for found in prepared.findings])
        for found in prepared.findings:
            run.log("audit", **found.as_dict())
        write_json(run.folder / "plan.json", {"reason": "nothing is trained in advance"})
        run.log("plan", reason="nothing is trained in advance")
        if self.method == "probe":
            assert prepared.labels is not None
            out = judged.judge_probe(self, prepared.models, prepared.labels, prepared.stimuli)
        elif self.method == "odd-one-out":
            out = judged.judge_triplets(self, prepared.models, prepared.triplets)
        else:
            out = judged.METHODS[self.method](self, prepared.reference, prepared.models)
        run.log("fitted", role=self.method, fit=1, fits=1)
        write_atomic(
            run.folder / "predictions.parquet", partial(out.scores.to_parquet, index=False)
        )
        self.illustrate(run, prepared, out)

    def illustrate(self, run: Run, prepared: Prepared, out: Outcome) -> None:
        """Write tables, metrics, figures and the report."""
        from neuroloom.representation.story.compare import report_comparison

        report_comparison(self, run, prepared, out)


def _hashes(given: list[Path]) -> dict[str, str]:
    """Return name -> SHA-256 of all that is read; files of one name bear those of their folders."""
    from neuroloom.representation.items import sources_of

    each = list(dict.fromkeys(path.absolute() for path in given))
    named = zip(names_apart(each, [path.name for path in each]), each, strict=True)
    return {
        (Path(name) / file.relative_to(path)).as_posix(): digest(file)
        for name, path in named
        for file in sources_of(path) or [path]
    }


def _apart(groups: list[Group]) -> list[Group]:
    """Give groups of the same name numbers."""
    from neuroloom.representation.items import Group

    seen: dict[str, int] = {}
    out = []
    for group in groups:
        seen[group.name] = seen.get(group.name, 0) + 1
        name = group.name if seen[group.name] == 1 else f"{group.name} ({seen[group.name]})"
        out.append(Group(name, group.items))
    return out
