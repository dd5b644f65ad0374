"""The dense nets as models: `model="dynunet"` of a study of images or volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuroloom.learn.model import Model

if TYPE_CHECKING:
    from neuroloom.learn.dense.training.learner import DenseLearner, Wishes

TASKS = ("segmentation",)


def dense(name: str) -> Model:
    """Return the model of a dense net.

    Examples
    --------
    >>> dense("dynunet").tasks
    ('segmentation',)
    """
    from neuroloom.learn.dense.nets.build import grid_nets

    net = grid_nets()[name]

    def make(facts: dict[str, Any], task: str, n_outputs: int, **wishes: Any) -> DenseLearner:
        from neuroloom.learn.dense.training.learner import DenseLearner

        return DenseLearner(name, _wishes(facts, **wishes))

    def rebuild(spec: dict[str, Any]) -> DenseLearner:
        from neuroloom.learn.dense.training.learner import DenseLearner

        return DenseLearner.from_spec(spec)

    return Model(name, net.summary, net.source, True, make, rebuild, tasks=TASKS)


def voxel_logistic() -> Model:
    """Return the model of single voxels."""

    def make(facts: dict[str, Any], task: str, n_outputs: int, **wishes: Any) -> Any:
        from neuroloom.learn.dense.training.voxel import VoxelLearner

        return VoxelLearner("voxel-logistic", _wishes(facts, budget_s=wishes.get("budget_s")))

    def rebuild(spec: dict[str, Any]) -> Any:
        from neuroloom.learn.dense.training.voxel import VoxelLearner

        return VoxelLearner.from_spec(spec)

    return Model(
        "voxel-logistic",
        "logistic regression of each voxel on its neighbourhood and its place",
        "after ilastik: Sommer et al. 2011, ISBI 230-233",
        False,
        make,
        rebuild,
        tasks=TASKS,
    )


def _wishes(facts: dict[str, Any], **wishes: Any) -> Wishes:
    from neuroloom.learn.dense.training.learner import Wishes

    known = {key: facts[key] for key in ("channels", "regions", "ignore")}
    known["mirror"] = facts.get("mirror")
    return Wishes.from_dict(known | {"classes": facts["classes_of"]} | wishes)


def __getattr__(name: str) -> Model:
    """Return the model whose name, with hyphens, is asked for."""
    from neuroloom.learn.dense.nets.build import grid_nets

    known = {net.replace("-", "_"): net for net in grid_nets()}
    if name == "voxel":
        return voxel_logistic()
    if name in known:
        return dense(known[name])
    raise AttributeError(
        f"module 'neuroloom.learn.dense.training.models' has no attribute '{name}'"
    )
