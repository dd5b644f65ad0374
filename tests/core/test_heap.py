"""Arrays that outgrow the memory, and memory that is kept."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from neuroloom.core.heap import Heap, kept_memory

FAULTS = """
import contextlib, resource, sys
import numpy as np
from neuroloom.core.heap import kept_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(6_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

np.ones(6_000_000)
free = faults()
with kept_memory():
    with kept_memory():
        np.ones(6_000_000)
    kept = faults()
print(free, kept, faults())
"""


def test_what_is_too_much_goes_to_a_file():
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(3, 2, 4)) for _ in range(4)]
    for most in (0, 1e9):
        heap = Heap(most)
        for part in parts:
            heap.add(part)
        np.testing.assert_array_equal(heap.whole(), np.concatenate(parts))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_kept_memory_is_not_asked_for_again_and_given_back_at_the_end():
    told = subprocess.run(
        [sys.executable, "-c", FAULTS], check=True, capture_output=True, text=True
    )
    free, kept, after = map(int, told.stdout.split())
    if free < 1000:
        pytest.skip("another allocator, or huge pages")
    assert kept < free / 20
    assert after > free / 2


def test_an_error_within_passes_through():
    with pytest.raises(ZeroDivisionError), kept_memory():
        1 / 0  # noqa: B018
