"""Volumes and images, medical and microscopic: segment, classify, regress, synthesize, measure.

One command each, from a folder of images::

    neuroloom run volumes.classify DATA --target sex
    neuroloom run volumes.regress DATA --target label:volume
"""
