"""Nets that find keypoints: how they look at frames, what they learn, what they say.

- `plan` measures labels and says what the coarse and the fine net see; `views` are the matrices.
- `align` lays animals onto a mean shape, so that a crop shows every one alike.
- `unet` and `build` are nets; `maps` their loss and how places are read off; `vary` augments.
- `learner` trains both stages (`module` draws the batches of `frames`); `find` applies them.
- `models` names them for `model=`.
"""
