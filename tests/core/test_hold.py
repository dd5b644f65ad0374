"""A lock that ends with its process."""

from __future__ import annotations

import subprocess
import sys
import threading

from neuroloom.core import hold

HOLDER = """
import sys, time
from pathlib import Path
from neuroloom.core import hold
lock = hold.take(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_one_holder_at_a_time(tmp_path):
    file = tmp_path / ".lock"
    assert not hold.is_taken(file)
    lock = hold.take(file)
    assert hold.take(file) is None
    assert hold.is_taken(file)
    lock.close()
    assert not hold.is_taken(file)


def test_asking_makes_no_file(tmp_path):
    assert not hold.is_taken(tmp_path / ".lock")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_holds_nothing(tmp_path):
    file = tmp_path / ".lock"
    words = [sys.executable, "-c", HOLDER, str(file)]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "held\n"
    assert hold.is_taken(file)
    child.kill()
    child.communicate()
    assert not hold.is_taken(file)


def test_a_look_does_not_keep_anybody_out(tmp_path):
    looking = hold.take(tmp_path / "lock")
    assert looking
    threading.Timer(0.03, looking.close).start()
    taken = hold.take(tmp_path / "lock")
    assert taken
    taken.close()
