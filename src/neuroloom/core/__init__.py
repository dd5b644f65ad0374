"""The words of neuroloom: recording, dataset, split, step, recipe, run, artifact."""
