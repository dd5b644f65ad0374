"""Where nets learn and answer."""

from __future__ import annotations

import pytest
import torch

from neuroloom.learn.training import epochs


class Net:
    """A net that notes where it is put."""

    def __init__(self) -> None:
        self.places: list[str] = []

    def to(self, place: str) -> None:
        self.places.append(place)


@pytest.mark.parametrize(("room", "answered"), [(True, ["cuda"]), (False, ["cuda", "cpu"])])
def test_a_net_answers_on_the_gpu_or_where_there_is_memory(monkeypatch, room, answered):
    monkeypatch.setattr(epochs, "device_name", lambda: "cuda")
    net, at = Net(), []

    def answer() -> str:
        at.append(net.places[-1])
        if not room and len(at) == 1:
            raise torch.OutOfMemoryError
        return "said"

    assert epochs.where_it_fits(net, answer) == "said"
    assert (at, net.places[-1]) == (answered, "cpu")


def test_without_a_gpu_a_net_stays_where_it_is(monkeypatch):
    monkeypatch.setattr(epochs, "device_name", lambda: "cpu")
    net = Net()
    assert epochs.where_it_fits(net, lambda: "said") == "said"
    assert not net.places
