"""Labelling: keypoints on frames, masks on slices, events over time, classes of images.

A piece of work is a folder `labels/<id>/` of the workspace: what it is (`work.json`), what has been
labelled, in the format that programs read (`project/`), what each run was given of it (`lesson-1/`,
…), and every correction (`log.jsonl`). Sources are never changed. One file a kind, each with a
class like `work.Work`; to add one, a line in `desk.KINDS`. The pages ask the HTTP API of `routes`,
and can do nothing beside it.
"""
