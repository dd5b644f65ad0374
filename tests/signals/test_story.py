"""Which story the report tells of a model: what it was made for, and what it was seen to read."""

from __future__ import annotations

from typing import Any

import pytest

from neuroloom.signals.story.explanation import choose_stories


@pytest.mark.parametrize(
    ("likes", "turned", "stories"),
    [
        ({}, 0.98, ["power"]),
        ({}, -0.9, ["evoked"]),
        ({}, 0.5, ["power", "evoked"]),
        ({}, float("nan"), ["power", "evoked"]),
        ({"evoked": True}, 0.5, ["evoked"]),
        ({"signal": "evoked"}, float("nan"), ["evoked"]),
        ({"signal": "evoked"}, 0.9, ["evoked", "power"]),
        ({"band": (8, 30)}, 0.1, ["evoked"]),
    ],
)
def test_stories(likes: dict[str, Any], turned: float, stories: list[str]) -> None:
    assert choose_stories(likes, turned) == stories
