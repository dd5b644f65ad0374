"""Small recordings with a known signal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.io import makers


@pytest.fixture
def make_edf() -> Callable[..., makers.Made]:
    """Write an EDF+ or BDF+ file."""
    return makers.make_edf
