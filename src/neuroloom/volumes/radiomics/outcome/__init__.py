"""From features to an outcome: targets, learners, survival."""
