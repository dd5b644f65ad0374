"""The dense engine: plan, preprocess, tile and measure images of any size, 2-D and 3-D.

An image is an array (channel, *axes), a label an integer array (*axes), a spacing a tuple, in one
order of axes: (z, y, x) for volumes, (y, x) for images.
"""
