"""Learning by reward: policy gradient, actor-critic and PPO on whole batches of trials at once.

The inputs of a trial do not depend on what is done in it until it ends, so a rollout is one scan of
the net over the batch; what happens after the answer is masked.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from neuroloom.cognition.task import right_answer
from neuroloom.core.errors import ConfigError, nearest

if TYPE_CHECKING:
    from neuroloom.cognition.nets.gated import Net
    from neuroloom.cognition.task import Task, Trials

KINDS = ("policy-gradient", "actor-critic", "ppo")
Draw = Callable[[torch.Generator], "Trials"]


@dataclass(frozen=True)
class Rewards:
    """What an agent gets: for acting too early, for right and wrong answers, for none.

    The trial ends with the first answer inside the time to answer; withholding where that is right
    costs nothing and gives nothing, as in NeuroGym.
    """

    abort: float = -0.1
    correct: float = 1.0
    fail: float = 0.0
    miss: float = 0.0


@dataclass(frozen=True)
class Played:
    """How trials went.

    Attributes
    ----------
    rewards, alive
        Shape (time, trial): the reward of each step, and 1 up to the answer.
    right
        Shape (trial,), bool: the right answer, or rightly none; and nothing before its time.
    answer
        Shape (trial,): the step of the answer, -1 without.
    action
        Shape (trial,): what was answered; 0 without.
    """

    rewards: Tensor
    alive: Tensor
    right: Tensor
    answer: Tensor
    action: Tensor


def answer_window(trials: Trials) -> Tensor:
    """Return where an answer counts, (time, trial) bool: the decision epoch, else where due."""
    return trials.within("decision") if "decision" in trials.epochs else trials.choice > 0


def play(actions: Tensor, trials: Trials, rewards: Rewards) -> Played:
    """Return rewards and outcomes of actions.

    Parameters
    ----------
    actions
        Shape (time, trial), int64; 0 is fixation.
    trials
        With a right choice at each step.
    rewards
        Their price list.
    """
    window = answer_window(trials)
    acted = actions != 0
    answers = acted & window
    answered = answers.any(0)
    first = torch.where(answered, answers.int().argmax(0), len(actions))
    steps = torch.arange(len(actions), device=actions.device)[:, None]
    last = torch.where(window.any(0), window.int().cumsum(0).argmax(0), trials.length - 1)
    alive = (steps <= first) & (steps <= last)
    here = first.clamp_max(len(actions) - 1)[None]
    chosen = actions.gather(0, here)[0] * answered
    due = right_answer(trials)
    wanted = torch.where(answered, trials.choice.gather(0, here)[0], due)
    hit = answered & (chosen == wanted)
    paid = torch.where(hit, rewards.correct, rewards.fail)
    paid = torch.where(answered, paid, torch.where(due > 0, rewards.miss, 0.0))
    end = torch.minimum(first, last)
    early = acted & ~window & alive
    gained = rewards.abort * early.float() + (steps == end) * paid
    right = (hit | (~answered & (due == 0))) & ~early.any(0)
    return Played(gained, alive.float(), right, torch.where(answered, first, -1), chosen)


def advantages(
    rewards: Tensor, values: Tensor, alive: Tensor, discount: float, smooth: float
) -> Tensor:
    """Return generalised advantages (Schulman et al. 2016, eq. 16), (time, trial).

    Parameters
    ----------
    rewards, values, alive
        Shape (time, trial); nothing follows a step that is not alive.
    """
    gains, later = torch.zeros_like(rewards), torch.zeros_like(rewards[0])
    following = torch.cat([values[1:] * alive[1:], torch.zeros_like(values[:1])])
    surprise = rewards + discount * following - values
    for t in range(len(rewards) - 1, -1, -1):
        later = (surprise[t] + discount * smooth * later) * alive[t]
        gains[t] = later
    return gains


@dataclass(frozen=True)
class PolicySpec:
    """How a policy is learnt; plain data.

    Attributes
    ----------
    kind
        "policy-gradient" (REINFORCE with the batch mean as baseline; Williams 1992),
        "actor-critic" (Mnih et al. 2016) or "ppo" (Schulman et al. 2017).
    discount, smooth
        Per step, of rewards and of advantages.
    entropy, value
        Price of a decided policy, and of a wrong value.
    clip, reuse
        Of PPO: largest change of a probability, and steps that are made on the same rollout.
    """

    kind: str = "actor-critic"
    discount: float = 0.99
    smooth: float = 0.95
    entropy: float = 0.01
    value: float = 0.5
    clip: float = 0.2
    reuse: int = 4

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(
                f"No way of learning by reward is called '{self.kind}'."
                f"{nearest(self.kind, KINDS)} Known: {', '.join(KINDS)}."
            )


@dataclass
class _Rollout:
    """Trials, what was done in them, how likely it was, and how much better than expected."""

    trials: Trials
    noise: Tensor
    actions: Tensor
    likelihood: Tensor
    gains: Tensor
    returns: Tensor
    alive: Tensor


class Policy(nn.Module):
    """Learning by reward, as an objective of `player.Player`.

    The net's outputs are one logit an action and, last, the value of the state.

    Parameters
    ----------
    spec, rewards
        How, and for what.
    """

    behaviour: Any
    phase: Tensor
    drawn: Tensor

    def __init__(self, spec: PolicySpec, rewards: Rewards) -> None:
        super().__init__()
        self.spec, self.rewards = spec, rewards
        self.reuse = spec.reuse if spec.kind == "ppo" else 1
        self._rollout: _Rollout | None = None
        # PPO steps several times on one rollout. What makes it again, after a cut, is kept: the
        # weights that played it and the state of the random numbers.
        self.register_buffer("phase", torch.zeros((), dtype=torch.int64))
        self.register_buffer("drawn", torch.Generator().get_state())
        self.behaviour = None

    def adopt(self, net: Net) -> None:
        """Make room for the weights that play the rollouts of PPO."""
        if self.reuse > 1:
            self.behaviour = copy.deepcopy(net).requires_grad_(False)

    def loss(self, net: Net, draw: Draw, generator: torch.Generator) -> Tensor:
        """Return the loss of a step; PPO draws trials only every few steps."""
        if int(self.phase) % self.reuse == 0:
            self.drawn = generator.get_state()
            if self.behaviour is not None:
                self.behaviour.load_state_dict(net.state_dict())
            self._rollout = self._roll(self.behaviour or net, draw, generator)
        elif self._rollout is None:
            again = torch.Generator(generator.device)
            again.set_state(self.drawn)
            self._rollout = self._roll(self.behaviour or net, draw, again)
        self.phase += 1
        return self._cost(net, self._rollout)

    @torch.no_grad()
    def _roll(self, net: Net, draw: Draw, generator: torch.Generator) -> _Rollout:
        trials = draw(generator)
        noise = generator.get_state()
        outputs = net(trials.inputs, trials.dt, generator=generator).outputs
        logits, values = outputs[..., :-1], outputs[..., -1]
        odds = logits.softmax(-1)
        actions = torch.multinomial(odds.flatten(0, 1), 1, generator=generator)
        actions = actions.view(logits.shape[:2])
        played = play(actions, trials, self.rewards)
        if self.spec.kind == "policy-gradient":
            expected = torch.zeros_like(values)
            gains = advantages(played.rewards, expected, played.alive, self.spec.discount, 1.0)
            returns = gains
            count = played.alive.sum(1, keepdim=True).clamp_min(1)
            gains = gains - (gains * played.alive).sum(1, keepdim=True) / count
        else:
            gains = advantages(
                played.rewards, values, played.alive, self.spec.discount, self.spec.smooth
            )
            returns = gains + values
        likelihood = logits.log_softmax(-1).gather(-1, actions[..., None])[..., 0]
        inside = played.alive > 0
        spread = gains[inside].std().clamp_min(1e-4)
        gains = (gains - gains[inside].mean()) / spread
        return _Rollout(trials, noise, actions, likelihood, gains, returns, played.alive)

    def _cost(self, net: Net, rollout: _Rollout | None) -> Tensor:
        assert rollout is not None
        noise = torch.Generator(rollout.alive.device)
        noise.set_state(rollout.noise)
        trials = rollout.trials
        outputs = net(trials.inputs, trials.dt, generator=noise).outputs
        surprise = outputs[..., :-1].log_softmax(-1)
        likelihood = surprise.gather(-1, rollout.actions[..., None])[..., 0]
        if self.spec.kind == "ppo":
            ratio = (likelihood - rollout.likelihood).exp()
            held = ratio.clamp(1 - self.spec.clip, 1 + self.spec.clip)
            gain = torch.minimum(ratio * rollout.gains, held * rollout.gains)
        else:
            gain = likelihood * rollout.gains
        entropy = -(surprise.exp() * surprise).sum(-1)
        wrong = (outputs[..., -1] - rollout.returns).square()
        cost = self.spec.value * wrong - gain - self.spec.entropy * entropy
        return (cost * rollout.alive).sum() / rollout.alive.sum()

    def right(self, net: Net, task: Task, trials: Trials, generator: torch.Generator) -> Tensor:
        """Return whether each trial was solved by the likeliest actions, (trial,)."""
        return play(act(net, trials, generator), trials, self.rewards).right


def act(net: Net, trials: Trials, generator: torch.Generator | None = None) -> Tensor:
    """Return the likeliest action of each step, (time, trial)."""
    outputs = net(trials.inputs, trials.dt, generator=generator).outputs
    return outputs[..., :-1].argmax(-1)


def mean_reward(
    net: Net, trials: Trials, rewards: Rewards, generator: torch.Generator | None = None
) -> float:
    """Return the mean reward of a trial under the likeliest actions."""
    with torch.no_grad():
        actions = act(net, trials, generator)
    return float(play(actions, trials, rewards).rewards.sum(0).mean())
