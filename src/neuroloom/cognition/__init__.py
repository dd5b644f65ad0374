"""Cognitive tasks, and networks that learn them.

`task` and `tasks` give tasks of the library, `declare` makes new ones; `environment` turns any of
them into a Gymnasium environment.
"""
