"""Any task as a Gymnasium environment, and what Gymnasium's wrappers do not have.

    env = make_environment("perceptual-decision-making", dt=100)
    observation, info = env.reset(seed=1)

An episode is a trial, or many where trials depend on each other. The trial ends with the last
answer that is asked for; rewards are those of `Prices`. `info["next"]` is the right action of the
step that is shown, and `info["right"]` was that of the step before: the `choice` of the supervised
view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete

from neuroloom.cognition.learning.policy import Rewards
from neuroloom.cognition.task import State, Task, Trials, task, tasks

POOL = 64  # trials that are drawn at once where none depends on another
CHAIN = 100  # trials of an episode where they do
REACH = 1.0  # largest action of continuous tasks; their targets lie within


@dataclass(frozen=True)
class Prices(Rewards):
    """What an agent gets; tasks with a rule of their own (wagers, bandits …) pay by that instead.

    Attributes
    ----------
    strict
        End the trial at an action before its time; else it costs `abort` and the trial goes on.
    """

    strict: bool = False


USUAL = Prices()


def make_environment(
    name: str | Task, *, dt: float = 100.0, trials: int | None = None, prices: Prices = USUAL,
    **conditions: Any,
) -> TaskEnvironment:  # fmt: skip
    """Return the environment of a task.

    Parameters
    ----------
    name
        Of the library, or a task.
    dt
        Step, ms.
    trials
        Of an episode; default: one, or a hundred where they depend on each other.
    prices
        What an agent gets.
    conditions
        Held fixed, by their names.

    Examples
    --------
    >>> env = make_environment("go-nogo", dt=100)
    >>> env.reset(seed=0)[0].shape
    (3,)
    """
    played = task(name) if isinstance(name, str) else name
    return TaskEnvironment(played, dt, trials, prices, conditions)


def register_environments() -> list[str]:
    """Tell Gymnasium the tasks, as "neuroloom/<task>-v0"; returns these names.

    Examples
    --------
    >>> "neuroloom/go-nogo-v0" in register_environments()
    True
    """
    names = [f"neuroloom/{name}-v0" for name in tasks()]
    for name, own in zip(names, tasks(), strict=True):
        if name not in gymnasium.registry:
            gymnasium.register(
                name, "neuroloom.cognition.environment:make_environment", kwargs={"name": own}
            )
    return names


class TaskEnvironment(gymnasium.Env):
    """A task, played step by step by one agent; see `make_environment`."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}  # type: ignore[misc]

    def __init__(
        self, task: Task, dt: float, trials: int | None, prices: Prices, conditions: dict[str, Any]
    ) -> None:
        self.task, self.dt, self.prices, self.conditions = task, dt, prices, conditions
        self.alone = not task.carried and getattr(task, "follow", None) is None
        self.per_episode = trials or (CHAIN if task.carried else 1)
        self.observation_space = Box(-np.inf, np.inf, (len(task.inputs),), np.float32)
        self.action_space = (
            Discrete(task.actions)
            if task.actions
            else Box(-REACH, REACH, (len(task.outputs),), np.float32)
        )
        self.generator = torch.Generator()
        self.state: State = {}
        self.memory: State = {}
        self.t = self.last = self.answered = self.done_trials = self._row = 0
        self.solved, self.early = True, False  # all answers right so far; acted before its time
        self._pool: Trials | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode; `seed` makes all that follows the same again."""
        fresh = seed is not None or self._np_random is None
        super().reset(seed=seed)
        if fresh:
            self.generator.manual_seed(int(self.np_random.integers(2**62)))
            self._pool = None
        self.state = self.task.begin(1, self.generator)
        self.done_trials = 0
        self._new_trial()
        return self._look(), self._info(new=True)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Do something; see Gymnasium."""
        reward, over = self._act(action)
        due = int(self.due[self.t])
        self._follow(action)
        self.t += 1
        over = over or self.t > self.last
        info: dict[str, Any] = {"right": due}
        terminated = False
        if over:
            self.done_trials += 1
            info["performance"] = float(self.solved and not self.early)
            terminated = self.done_trials >= self.per_episode
            if terminated:
                self.t = min(self.t, len(self.trial.inputs) - 1)
            else:
                self._new_trial()
        return self._look(), float(reward), terminated, False, self._info(new=over) | info

    def _new_trial(self) -> None:
        self.trial = self._draw()
        choice = self.trial.choice[:, 0]
        self.seen, self.due = self.trial.inputs[:, 0].numpy(), choice.numpy()  # views
        window = choice > 0
        if "decision" in self.trial.epochs:
            window = window | self.trial.within("decision")[:, 0]
        self.window = window.numpy()
        moments = np.flatnonzero(self.window)
        length = int(self.trial.length[0]) - 1
        self.last = int(moments[-1]) if len(moments) and self.task.actions else length
        starts = self.window & ~np.concatenate([[False], self.window[:-1]])
        self.stretch = np.where(self.window, starts.cumsum(), 0)  # times to answer, from 1
        self.told = {name: value[0].tolist() for name, value in self.trial.conditions.items()}
        self.t, self.answered, self.memory = 0, 0, {}
        self.solved, self.early = True, False

    def _draw(self) -> Trials:
        """Return one trial; of tasks whose trials do not depend on each other, from a pool."""
        if not self.alone:
            carried = {"state": self.state} if self.task.carried else {}
            return self.task.trials(1, self.generator, self.dt, **carried, **self.conditions)
        if self._pool is None or self._row == POOL:
            self._pool = self.task.trials(POOL, self.generator, self.dt, **self.conditions)
            self._row = 0
        self._row += 1
        return self._pool.take(slice(self._row - 1, self._row))

    def _act(self, action: Any) -> tuple[float, bool]:
        if not self.task.actions:
            return self._near(np.asarray(action)), False
        done, due, inside = int(action), int(self.due[self.t]), self.window[self.t]
        if getattr(self.task, "follow", None) is not None:
            return self._track(done, due, bool(inside))
        if not inside:
            early = done != 0
            self.early |= early
            return self.prices.abort * early, early and self.prices.strict
        here = int(self.stretch[self.t])
        ends = self.t == self.last or int(self.stretch[self.t + 1]) != here
        if self.answered == here or (done == 0 and not ends):
            return 0.0, False
        self.answered = here
        wanted = due if done else int(self.due[self.stretch == here].max())
        self.solved &= done == wanted
        if here < int(self.stretch.max()):  # another answer will be asked for
            return 0.0, False
        return self._settle(done, wanted), True

    def _settle(self, done: int, due: int) -> float:
        paid, self.state = self.task.settle(
            self.state, self.trial, torch.tensor([done]), self.generator
        )
        if getattr(self.task, "after", None) is not None:
            return float(paid[0])
        if done == due:
            return self.prices.correct if done and self.solved else 0.0
        return self.prices.fail if done else self.prices.miss

    def _track(self, done: int, due: int, inside: bool) -> tuple[float, bool]:
        """Pay every step of a movement that was right, all together `correct`."""
        if not inside:
            self.early |= done != 0
            return self.prices.abort * (done != 0), False
        return self.prices.correct * (done == due) / max(int(self.window.sum()), 1), False

    def _near(self, action: np.ndarray) -> float:
        """Pay the nearness of a continuous action to its target, 1 / (1 + distance)^2."""
        weight = self.trial.mask[:, 0].amax(-1) > 0
        if not weight[self.t]:
            return 0.0
        miss = np.abs(action - self.trial.targets[self.t, 0].numpy()).mean()
        self.solved &= bool(miss < 0.5)
        return float(self.prices.correct / (1 + miss) ** 2 / int(weight.sum()))

    def _follow(self, action: Any) -> None:
        follow = getattr(self.task, "follow", None)
        if follow is not None:
            follow(self.trial, self.memory, self.t, torch.tensor([int(action)]))
            later = slice(self.t + 1, None)
            self.window[later] |= self.due[later] > 0

    def _look(self) -> np.ndarray:
        return self.seen[self.t].copy()

    def _info(self, *, new: bool) -> dict[str, Any]:
        told: dict[str, Any] = {"new_trial": new, "next": int(self.due[self.t])}
        return told | {"conditions": dict(self.told)} if new else told


class History(gymnasium.Wrapper):
    """Show an agent what it did last and what it got for it, beside the task's own inputs.

    Examples
    --------
    >>> History(make_environment("bandit")).observation_space.shape
    (5,)
    """

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        assert isinstance(env.action_space, Discrete), "actions must be discrete"
        self.kinds = int(env.action_space.n)
        shape = env.observation_space.shape or (0,)
        self.observation_space = Box(-np.inf, np.inf, (shape[0] + self.kinds + 1,), np.float32)

    def reset(self, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode: nothing done, nothing got."""
        seen, info = self.env.reset(**options)
        return self._with(seen, None, 0.0), info

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Do something; see Gymnasium."""
        seen, reward, terminated, truncated, info = self.env.step(action)
        told = self._with(seen, int(action), float(reward))
        return told, float(reward), terminated, truncated, info

    def _with(self, seen: np.ndarray, action: int | None, reward: float) -> np.ndarray:
        done = np.zeros(self.kinds + 1, np.float32)
        if action is not None:
            done[action] = 1.0
        done[-1] = reward
        return np.concatenate([seen, done]).astype(np.float32)
