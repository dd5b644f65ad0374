"""`data get` and `demo`: open recordings, and one job from start to end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neuroloom.apps.cli.show import announce, complain, watching
from neuroloom.core import registry
from neuroloom.core.errors import ConfigError, nearest
from neuroloom.core.files import at_home
from neuroloom.core.recipe import Recipe, briefly, problems

SETS = ("eegbci",)
MOTOR_RUNS = (6, 10, 14)


def get(
    name: str,
    /,
    *,
    subject: int = 1,
    runs: Annotated[list[int] | None, Parameter(consume_multiple=True, negative="")] = None,
    out: Path = Path("data"),
) -> int:
    """Download a data set, checksummed.

    Parameters
    ----------
    name
        "eegbci": PhysioNet motor movement/imagery, 109 people (ODC-BY 1.0).
    subject
        1 to 109.
    runs
        1 to 14; default 6 10 14 (fists or feet, imagined).
    out
        Folder; the files go to its subfolder of the set's name.
    """
    from neuroloom.io.recordings.fetch import fetch_eegbci

    if name not in SETS:
        raise ConfigError(f"No data set is called '{name}'.{nearest(name, SETS)} There is eegbci.")
    for path in fetch_eegbci(subject, runs or list(MOTOR_RUNS), at_home(out) / name):
        print(path)
    return 0


def demo(
    recipe: str = "signals.decode",
    /,
    *,
    out: Path = Path("runs/demo"),
    budget: str | None = None,
    model: str | None = None,
) -> int:
    """Do one job on open or simulated data, start to end, and write its report.

    Parameters
    ----------
    recipe
        Its name.
    out
        The run's folder; a number is added if it is taken.
    budget
        Wall time of the run; default: 60s where it can be chosen.
    model
        What is trained; default: the recipe's.
    """
    cls = registry.load("recipe", recipe)
    given = {name: said for name, said in (("budget", budget), ("model", model)) if said}
    _refuse_unfit(cls, given)
    out = _free(at_home(out))
    data, fields, what = cls.demo(out.parent / "demo-data" / recipe)
    complain(what)
    with watching() as watch:
        run = cls(**(briefly(cls, fields) | given)).run(data, out, watch=watch)
    announce(run)
    return 0


def _refuse_unfit(recipe: type[Recipe], given: dict[str, str]) -> None:
    """Refuse what the recipe has no demo or no such setting for, before data are made."""
    if not hasattr(recipe, "demo"):
        way = "brings no demo data" if recipe.needs_data else "needs no data to be tried"
        raise ConfigError(f"{recipe.name} {way}: see `neuroloom run {recipe.name} --help`.")
    wrong = problems(recipe, given)
    if said := [wrong[name] for name in given if name in wrong]:
        raise ConfigError(" ".join(said))


def _free(out: Path) -> Path:
    """Return `out`, or the first numbered neighbour that is not taken."""
    tries = (out, *(out.with_name(f"{out.name}-{k}") for k in range(2, 1000)))
    return next(path for path in tries if not path.exists() or not any(path.iterdir()))
