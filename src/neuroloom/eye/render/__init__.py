"""Synthetic eyes with exact truth: `draw_eyes` or `draw_scene`, then `render`.

`ranges` says what may be drawn, `optics` follows rays through the cornea to the iris, `surface`
paints skin, lids, hairs and reflections, `frames` puts a picture and its truth together.
"""

from neuroloom.eye.render.frames import Frames, render
from neuroloom.eye.render.ranges import HUMAN, MOUSE, Eyes, Ranges, draw_eyes, draw_scene

__all__ = ["HUMAN", "MOUSE", "Eyes", "Frames", "Ranges", "draw_eyes", "draw_scene", "render"]
