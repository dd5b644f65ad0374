"""Radiomics: numbers of a region in an image, as the IBSI defines them.

`extract` runs the whole chain for one region (interpolate, re-segment, discretise, measure); the
families stand alone in `features`, and so do the filters; `outcome` learns from the numbers. Names
are the tags of the reference tables of the Image Biomarker Standardisation Initiative.

Zwanenburg et al. (2020), Radiology 295(2), 328-338; reference manual, arXiv:1612.07003.
"""

from neuroloom.volumes.radiomics.extract import Chain, Measured, extract

__all__ = ["Chain", "Measured", "extract"]
