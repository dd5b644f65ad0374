"""Measures of labels: overlap, surfaces, lesions, instances, rows of cases, doubt."""
