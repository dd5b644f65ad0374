"""The tasks of the field, written anew from their papers: name -> file and object.

Nothing is imported before a task is asked for.
"""

from __future__ import annotations

TASKS: dict[str, str] = {
    "perceptual-discrimination": "psychrnn:perceptual_discrimination",
    "delayed-discrimination": "psychrnn:delayed_discrimination",
    "match-to-category": "psychrnn:match_to_category",
    "pycog-rdm-varstim": "pycog:rdm_varstim",
    "pycog-rdm-rt": "pycog:rdm_rt",
    "pycog-rdm-nodale": "pycog:rdm_nodale",
    "pycog-rdm-dense": "pycog:rdm_dense",
    "pycog-rdm-fixed": "pycog:rdm_fixed",
    "pycog-mante": "pycog:mante",
    "pycog-mante-areas": "pycog:mante_areas",
    "pycog-multisensory": "pycog:multisensory",
    "pycog-romo": "pycog:romo",
    "pycog-lee": "pycog:lee",
    "pycog-sinewave": "pycog:sinewave",
    "yang19-go": "yang19:go",
    "yang19-rtgo": "yang19:rtgo",
    "yang19-dlygo": "yang19:dlygo",
    "yang19-anti": "yang19:anti",
    "yang19-rtanti": "yang19:rtanti",
    "yang19-dlyanti": "yang19:dlyanti",
    "yang19-dm1": "yang19:dm1",
    "yang19-dm2": "yang19:dm2",
    "yang19-ctxdm1": "yang19:ctxdm1",
    "yang19-ctxdm2": "yang19:ctxdm2",
    "yang19-multidm": "yang19:multidm",
    "yang19-dlydm1": "yang19:dlydm1",
    "yang19-dlydm2": "yang19:dlydm2",
    "yang19-ctxdlydm1": "yang19:ctxdlydm1",
    "yang19-ctxdlydm2": "yang19:ctxdlydm2",
    "yang19-multidlydm": "yang19:multidlydm",
    "yang19-dms": "yang19:dms",
    "yang19-dnms": "yang19:dnms",
    "yang19-dmc": "yang19:dmc",
    "yang19-dnmc": "yang19:dnmc",
}
