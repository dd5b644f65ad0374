"""Poses of animals: from labelled frames to tracks."""
