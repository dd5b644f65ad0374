"""The tree of commands; each verb's module is imported only when the verb is used."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App, Group

import neuroloom
from neuroloom.core.errors import ConfigError

VERBS = {
    "check": "jobs:check_help",
    "run": "jobs:run_help",
    "resume": "jobs:resume",
    "replay": "jobs:replay",
    "predict": "runs:predict",
    "evaluate": "runs:evaluate",
    "explain": "runs:explain",
    "report": "runs:report",
    "compare": "runs:compare",
    "recipes": "lookup:recipes",
    "describe": "lookup:describe",
    "models": "lookup:models",
    "tools": "lookup:tools",
    "doctor": "lookup:doctor",
    "demo": "fetch:demo",
    "studio": "studio:studio",
}
HELP = {
    "check": "Audit, split and plan as a run would; train nothing.",
    "run": "Run a recipe on data, or a study from a YAML file.",
    "resume": "Finish an interrupted run.",
    "replay": "Do a run again, following its stored plan, and compare.",
    "predict": "Apply a run's model to new recordings.",
    "evaluate": "Score a run's model on other labelled data.",
    "explain": "Show where a run's model looks.",
    "report": "Write a run's report anew.",
    "compare": "Compare runs on the same examples, pair by pair.",
    "recipes": "List the jobs that neuroloom does.",
    "describe": "Show a recipe's settings.",
    "models": "List the models behind --model.",
    "tools": "Search the catalogue of 72 tools, and what does their job here.",
    "doctor": "Check this installation.",
    "demo": "Decode a recording and write its report, start to end.",
    "studio": "Open the recipes in a browser.",
    "data": "Get open data.",
}
HERE = "neuroloom.apps.cli."


def build(words: list[str]) -> tuple[App, list[str]]:
    """Return the app that understands `words`, and the words as it should see them.

    `run RECIPE` and `check RECIPE` become commands of their own, made from the recipe's fields.

    Raises
    ------
    ConfigError
        If an option stands before the recipe, whose fields say what options there are.
    """
    app = App(
        name="neuroloom",
        help="Train, check, explain and share deep models on neuroscience data.",
        version=neuroloom.__version__,
        help_flags=["--help", "-h"],
        suppress_keyboard_interrupt=False,
    )
    for verb, place in VERBS.items():
        app.command(f"{HERE}{place}", name=verb, help=HELP[verb])
    data = App(name="data", help=HELP["data"])
    data.command(f"{HERE}fetch:get", name="get", help="Download a data set, checksummed.")
    app.command(data)
    if len(words) < 2 or words[0] not in ("run", "check"):
        return app, words
    if not words[1].startswith("-"):
        return _recipe_app(words[0], words[1]), words[2:]
    if not {"--help", "-h"} & set(words):
        option = words[1].split("=")[0]
        raise ConfigError(
            f"{option} stands before the recipe. Write the recipe first: "
            f"`neuroloom {words[0]} RECIPE DATA {option} …`."
        )
    return app, words


def _recipe_app(verb: str, target: str) -> App:
    """Return the command of one recipe, or of one study file."""
    from neuroloom.apps.cli.jobs import check_command, recipe_of, run_command

    name = f"neuroloom {verb} {Path(target).name}"
    data = " DATA" if recipe_of(target).needs_data else ""
    out = " [--out FOLDER]" if verb == "run" else ""
    app = App(
        name=name,
        usage=f"Usage: {name}{data}{out} [SETTINGS]",
        help_flags=["--help", "-h"],
        version_flags=[],
        group_commands=Group("", show=False),
        group_arguments=Group("Data", sort_key=0),
        suppress_keyboard_interrupt=False,
    )
    app.default((run_command if verb == "run" else check_command)(target))
    return app
