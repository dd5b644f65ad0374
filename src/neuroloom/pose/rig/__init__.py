"""Several cameras: calibrating them, and lifting what they see into space.

`Camera` and `Rig` project and undistort; `triangulate` goes back to space; `read_rig`, `write_rig`
know anipose's, DANNCE's and JSON files.
"""

from neuroloom.pose.rig.cameras import Camera, Rig
from neuroloom.pose.rig.files import read_rig, write_rig
from neuroloom.pose.rig.triangulate import reprojection_error, triangulate, triangulate_robust

__all__ = [
    "Camera",
    "Rig",
    "read_rig",
    "reprojection_error",
    "triangulate",
    "triangulate_robust",
    "write_rig",
]
