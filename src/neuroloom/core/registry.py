"""What exists, by name: explicit tables, resolved only when asked for.

Other people's packages add recipes, models, formats and augmentations through the entry-point
groups `neuroloom.recipes`, `neuroloom.models` and so on. Nothing registers on import.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from neuroloom.core.errors import ConfigError, nearest

RECIPES: dict[str, str] = {
    "signals.decode": "neuroloom.signals.decode:Decode",
    "signals.detect": "neuroloom.signals.detect:Detect",
    "signals.stage": "neuroloom.signals.stage:Stage",
    "signals.artifacts": "neuroloom.signals.artifacts:Artifacts",
    "signals.mvpa": "neuroloom.signals.mvpa:Mvpa",
    "signals.pretrain": "neuroloom.signals.pretrain:Pretrain",
    "signals.simulate": "neuroloom.signals.simulation:Simulate",
    "volumes.segment": "neuroloom.volumes.segment:Segment",
    "volumes.measures": "neuroloom.volumes.measure:Measure",
    "volumes.augment": "neuroloom.volumes.augment:Augment",
    "volumes.classify": "neuroloom.volumes.classify:Classify",
    "volumes.regress": "neuroloom.volumes.regress:Regress",
    "volumes.synthesize": "neuroloom.volumes.synthesize:Synthesize",
    "volumes.radiomics": "neuroloom.volumes.radiomics.recipe:Radiomics",
    "pose.estimate": "neuroloom.pose.estimate:Estimate",
    "pose.track": "neuroloom.pose.track:Track",
    "pose.suggest": "neuroloom.pose.suggest:Suggest",
    "pose.triangulate": "neuroloom.pose.triangulate:Triangulate",
    "pose.calibrate": "neuroloom.pose.calibrate:Calibrate",
    "pose.volumetric": "neuroloom.pose.volumetric:Volumetric",
    "eye.pupil": "neuroloom.eye.pupil:Pupil",
    "eye.gaze": "neuroloom.eye.gaze:Gaze",
    "eye.train": "neuroloom.eye.train:Train",
    "connectivity.causal": "neuroloom.connectivity.causal:Causal",
    "connectivity.graphs": "neuroloom.connectivity.graphs:Graphs",
    "microscopy.measure": "neuroloom.microscopy.measure:Measure",
    "microscopy.axon": "neuroloom.microscopy.axon:Axon",
    "microscopy.segment": "neuroloom.microscopy.segment:Segment",
    "microscopy.curate": "neuroloom.microscopy.curate:Curate",
    "microscopy.threshold": "neuroloom.microscopy.threshold:Threshold",
    "cognition.tasks": "neuroloom.cognition.tasks:Tasks",
    "cognition.train": "neuroloom.cognition.train:Train",
    "representation.compare": "neuroloom.representation.compare:Compare",
    "representation.extract": "neuroloom.representation.extract:Extract",
}

MODELS: dict[str, str] = {
    "unet": "neuroloom.signals.models.dense:unet",
    "rms-threshold": "neuroloom.signals.models.dense:rms_threshold",
    "stage-cnn": "neuroloom.signals.models.dense:stage_cnn",
    "stage-lda": "neuroloom.signals.models.dense:stage_lda",
    "eegnet": "neuroloom.signals.models.conv:eegnet",
    "shallow": "neuroloom.signals.models.conv:shallow",
    "musclenet": "neuroloom.signals.models.conv:musclenet",
    "deep4": "neuroloom.signals.models.conv:deep4",
    "eegnex": "neuroloom.signals.models.conv:eegnex",
    "eeg-tcnet": "neuroloom.signals.models.conv:eeg_tcnet",
    "eeg-itnet": "neuroloom.signals.models.conv:eeg_itnet",
    "eeg-inception": "neuroloom.signals.models.conv:eeg_inception",
    "sccnet": "neuroloom.signals.models.conv:sccnet",
    "fbcnet": "neuroloom.signals.models.conv:fbcnet",
    "tidnet": "neuroloom.signals.models.conv:tidnet",
    "bd-tcn": "neuroloom.signals.models.conv:bd_tcn",
    "atcnet": "neuroloom.signals.models.attention:atcnet",
    "conformer": "neuroloom.signals.models.attention:conformer",
    "ctnet": "neuroloom.signals.models.attention:ctnet",
    "dgcnn": "neuroloom.signals.models.attention:dgcnn",
    "chambon2018": "neuroloom.signals.models.sleep:chambon2018",
    "chambon2018-gru": "neuroloom.signals.models.sleep:chambon2018_gru",
    "usleep": "neuroloom.signals.models.sleep:usleep",
    "deepsleepnet": "neuroloom.signals.models.sleep:deepsleepnet",
    "artifact-cnn": "neuroloom.signals.models.artifacts:artifact_cnn",
    "artifact-lstm": "neuroloom.signals.models.artifacts:artifact_lstm",
    "artifact-mlp": "neuroloom.signals.models.artifacts:artifact_mlp",
    "power-threshold": "neuroloom.signals.models.artifacts:power_threshold",
    "probe": "neuroloom.signals.models.pretrained:probe",
    "finetune": "neuroloom.signals.models.pretrained:finetune",
    "csp-lda": "neuroloom.signals.models.classical:csp_lda",
    "riemann": "neuroloom.signals.models.classical:riemann",
    "mdm": "neuroloom.signals.models.classical:mdm",
    "fbcsp": "neuroloom.signals.models.classical:fbcsp",
    "band-power": "neuroloom.signals.models.classical:band_power",
    "lda": "neuroloom.signals.models.classical:lda",
    "shrinkage-lda": "neuroloom.signals.models.classical:shrinkage_lda",
    "svm": "neuroloom.signals.models.classical:svm",
    "knn": "neuroloom.signals.models.classical:knn",
    "forest": "neuroloom.signals.models.classical:forest",
    "sffs": "neuroloom.signals.models.classical:sffs",
    "xdawn": "neuroloom.signals.models.classical:xdawn",
    "erp-cov": "neuroloom.signals.models.classical:erp_cov",
    "log-rms": "neuroloom.signals.models.classical:log_rms",
    "emg": "neuroloom.signals.models.classical:emg",
    "voting": "neuroloom.signals.models.classical:vote",
    "erp": "neuroloom.signals.models.classical:erp",
    "evoked-net": "neuroloom.signals.models.classical:evoked_net",
    "mlp": "neuroloom.signals.models.textbook:mlp",
    "cnn": "neuroloom.signals.models.textbook:cnn",
    "res-cnn": "neuroloom.signals.models.textbook:res_cnn",
    "dense-cnn": "neuroloom.signals.models.textbook:dense_cnn",
    "fcn": "neuroloom.signals.models.textbook:fcn",
    "siamese": "neuroloom.signals.models.textbook:siamese",
    "gcn": "neuroloom.signals.models.textbook:gcn",
    "res-gcn": "neuroloom.signals.models.textbook:res_gcn",
    "bilstm-gcn": "neuroloom.signals.models.textbook:bilstm_gcn",
    "rnn": "neuroloom.signals.models.textbook:rnn",
    "lstm": "neuroloom.signals.models.textbook:lstm",
    "gru": "neuroloom.signals.models.textbook:gru",
    "bi-rnn": "neuroloom.signals.models.textbook:bi_rnn",
    "bi-lstm": "neuroloom.signals.models.textbook:bi_lstm",
    "bi-gru": "neuroloom.signals.models.textbook:bi_gru",
    "rnn-attention": "neuroloom.signals.models.textbook:rnn_attention",
    "lstm-attention": "neuroloom.signals.models.textbook:lstm_attention",
    "gru-attention": "neuroloom.signals.models.textbook:gru_attention",
    "bi-rnn-attention": "neuroloom.signals.models.textbook:bi_rnn_attention",
    "bi-lstm-attention": "neuroloom.signals.models.textbook:bi_lstm_attention",
    "bi-gru-attention": "neuroloom.signals.models.textbook:bi_gru_attention",
    "transformer": "neuroloom.signals.models.textbook:transformer",
    "bayes-cnn": "neuroloom.signals.models.textbook:bayes_cnn",
    "spectrogram-cnn": "neuroloom.signals.models.textbook:spectrogram_cnn",
    "cnn-3d": "neuroloom.signals.models.textbook:cnn_3d",
    "dense/dynunet": "neuroloom.learn.dense.training.models:dynunet",
    "dense/resenc-m": "neuroloom.learn.dense.training.models:resenc_m",
    "dense/resenc-l": "neuroloom.learn.dense.training.models:resenc_l",
    "dense/resenc-xl": "neuroloom.learn.dense.training.models:resenc_xl",
    "dense/unet": "neuroloom.learn.dense.training.models:unet",
    "dense/attention-unet": "neuroloom.learn.dense.training.models:attention_unet",
    "dense/basicunetplusplus": "neuroloom.learn.dense.training.models:basicunetplusplus",
    "dense/segresnet": "neuroloom.learn.dense.training.models:segresnet",
    "dense/vnet": "neuroloom.learn.dense.training.models:vnet",
    "dense/highresnet": "neuroloom.learn.dense.training.models:highresnet",
    "dense/swinunetr": "neuroloom.learn.dense.training.models:swinunetr",
    "dense/unetr": "neuroloom.learn.dense.training.models:unetr",
    "dense/fcn": "neuroloom.learn.dense.training.models:fcn",
    "dense/deepmedic": "neuroloom.learn.dense.training.models:deepmedic",
    "dense/voxel-logistic": "neuroloom.learn.dense.training.models:voxel",
    "grid/resnet": "neuroloom.learn.grids.models:resnet",
    "grid/resnet-attention": "neuroloom.learn.grids.models:resnet_attention",
    "grid/vgg": "neuroloom.learn.grids.models:vgg",
    "grid/alexnet": "neuroloom.learn.grids.models:alexnet",
    "grid/squeezenet": "neuroloom.learn.grids.models:squeezenet",
    "grid/shufflenet": "neuroloom.learn.grids.models:shufflenet",
    "grid/xnornet": "neuroloom.learn.grids.models:xnornet",
    "grid/densenet": "neuroloom.learn.grids.models:densenet",
    "grid/resnet18": "neuroloom.learn.grids.models:resnet18",
    "grid/resnet50": "neuroloom.learn.grids.models:resnet50",
    "grid/seresnet": "neuroloom.learn.grids.models:seresnet",
    "grid/efficientnet": "neuroloom.learn.grids.models:efficientnet",
    "grid/integral": "neuroloom.learn.grids.models:integral",
    "grid/pca": "neuroloom.learn.grids.models:pca",
    "grid/autoencoder": "neuroloom.learn.grids.models:autoencoder",
    "grid/super-resolution": "neuroloom.learn.grids.models:super_resolution",
    "grid/translator": "neuroloom.learn.grids.models:translator",
    "grid/adversary": "neuroloom.learn.grids.models:adversary",
    "grid/real-images": "neuroloom.learn.grids.models:real_images",
    "grid/pca-images": "neuroloom.learn.grids.models:pca_images",
    "grid/cubic": "neuroloom.learn.grids.models:cubic",
    "grid/intensities": "neuroloom.learn.grids.models:intensities",
    "pose/unet": "neuroloom.pose.nets.models:unet",
    "pose/stacked-densenet": "neuroloom.pose.nets.models:stacked_densenet",
    "pose/resnet": "neuroloom.pose.nets.models:resnet",
    "pose/efficientnet-lite0": "neuroloom.pose.nets.models:efficientnet_lite0",
    "pose/mean-pose": "neuroloom.pose.nets.models:mean_pose",
    "table/linear": "neuroloom.volumes.radiomics.outcome.models:linear",
    "table/logistic": "neuroloom.volumes.radiomics.outcome.models:logistic",
    "table/ridge": "neuroloom.volumes.radiomics.outcome.models:ridge",
    "table/forest": "neuroloom.volumes.radiomics.outcome.models:forest",
    "table/cox": "neuroloom.volumes.radiomics.outcome.models:cox",
    "table/volume": "neuroloom.volumes.radiomics.outcome.models:volume",
    "graph/auto": "neuroloom.connectivity.connectomes.models:auto",
    "graph/ridge": "neuroloom.connectivity.connectomes.models:ridge",
    "graph/degree": "neuroloom.connectivity.connectomes.models:degree",
    "graph/types": "neuroloom.connectivity.connectomes.models:types",
    "graph/knn": "neuroloom.connectivity.connectomes.models:knn",
    "graph/forest": "neuroloom.connectivity.connectomes.models:forest",
    "graph/gcn": "neuroloom.connectivity.connectomes.models:gcn",
    "graph/gat": "neuroloom.connectivity.connectomes.models:gat",
    "graph/gin": "neuroloom.connectivity.connectomes.models:gin",
    "graph/brainnetcnn": "neuroloom.connectivity.connectomes.models:brainnetcnn",
    "graph/braingnn": "neuroloom.connectivity.connectomes.models:braingnn",
    "graph/transformer": "neuroloom.connectivity.connectomes.models:transformer",
    "graph/dual": "neuroloom.connectivity.connectomes.models:dual",
}

FORMATS: dict[str, str] = {
    ".edf": "neuroloom.io.recordings.formats.edf",
    ".bdf": "neuroloom.io.recordings.formats.edf",
    ".gdf": "neuroloom.io.recordings.formats.gdf",
    ".vhdr": "neuroloom.io.recordings.formats.brainvision",
    ".fif": "neuroloom.io.recordings.formats.fif",
    ".set": "neuroloom.io.recordings.formats.eeglab",
    ".cnt": "neuroloom.io.recordings.formats.cnt",
    ".xdf": "neuroloom.io.recordings.formats.xdf",
    ".csv": "neuroloom.io.recordings.text.door",
    ".txt": "neuroloom.io.recordings.text.door",
    ".mat": "neuroloom.io.recordings.formats.mat",
    ".npy": "neuroloom.io.recordings.formats.arrays",
    ".npz": "neuroloom.io.recordings.formats.arrays",
}

IMAGES: dict[str, str] = {
    ".nii": "neuroloom.io.images.nifti",
    ".mgz": "neuroloom.io.images.nifti",
    ".mgh": "neuroloom.io.images.nifti",
    ".img": "neuroloom.io.images.nifti",
    ".hdr": "neuroloom.io.images.nifti",
    ".nrrd": "neuroloom.io.images.itk",
    ".nhdr": "neuroloom.io.images.itk",
    ".mha": "neuroloom.io.images.itk",
    ".mhd": "neuroloom.io.images.itk",
    ".dcm": "neuroloom.io.images.dicom",
    ".tif": "neuroloom.io.images.tiff",
    ".tiff": "neuroloom.io.images.tiff",
    ".png": "neuroloom.io.images.png",
    ".jpg": "neuroloom.io.images.png",
    ".jpeg": "neuroloom.io.images.png",
    ".bmp": "neuroloom.io.images.png",
    ".gif": "neuroloom.io.images.png",
    ".ppm": "neuroloom.io.images.png",
    ".pgm": "neuroloom.io.images.png",
    ".h5": "neuroloom.io.images.hdf5",
    ".hdf5": "neuroloom.io.images.hdf5",
    ".hdf": "neuroloom.io.images.hdf5",
    ".zarr": "neuroloom.io.images.zarr_",
}

LABELS: dict[str, str] = {
    "dlc": "neuroloom.io.labels.dlc",
    "lightning-pose": "neuroloom.io.labels.lightning",
    "deepposekit": "neuroloom.io.labels.deepposekit",
    "slp": "neuroloom.io.labels.sleap",
    "nwb": "neuroloom.io.labels.nwb",
    "label3d": "neuroloom.io.labels.label3d",
    "coco": "neuroloom.io.labels.coco",
}

TRACKS: dict[str, str] = {
    "analysis": "neuroloom.io.tracks.analysis",
    "dlc": "neuroloom.io.tracks.dlc",
    "lightning-pose": "neuroloom.io.tracks.lightning",
    "slp": "neuroloom.io.tracks.sleap",
    "movement": "neuroloom.io.tracks.movement",
    "nwb": "neuroloom.io.tracks.nwb",
}

AUGMENTATIONS: dict[str, str] = {
    "noise": "neuroloom.learn.training.augment:add_noise",
    "scale": "neuroloom.learn.training.augment:scale",
    "sign": "neuroloom.learn.training.augment:flip_sign",
    "reverse": "neuroloom.learn.training.augment:reverse_time",
    "channels": "neuroloom.learn.training.augment:drop_channels",
    "channel-shuffle": "neuroloom.learn.training.augment:shuffle_channels",
    "mask": "neuroloom.learn.training.augment:mask_time",
    "smooth-mask": "neuroloom.learn.training.augment:mask_smoothly",
    "mask-encoding": "neuroloom.learn.training.augment:mask_pieces",
    "phase": "neuroloom.learn.training.augment:shuffle_phase",
    "mixup": "neuroloom.learn.training.augment:mix_up",
    "segmentation-reconstruction": "neuroloom.learn.training.augment:recombine",
    "frequency-shift": "neuroloom.signals.augment:shift_frequency",
    "band-stop": "neuroloom.signals.augment:stop_band",
    "rereference": "neuroloom.signals.augment:rereference",
    "symmetry": "neuroloom.signals.augment:swap_sides",
    "rotate-x": "neuroloom.signals.augment:rotate_x",
    "rotate-y": "neuroloom.signals.augment:rotate_y",
    "rotate-z": "neuroloom.signals.augment:rotate_z",
    "band-rotation": "neuroloom.signals.augment:turn_bands",
    "grid/affine": "neuroloom.learn.dense.augment.spatial:Affine",
    "grid/rotate": "neuroloom.learn.dense.augment.spatial:rotate",
    "grid/scale": "neuroloom.learn.dense.augment.spatial:scale",
    "grid/elastic": "neuroloom.learn.dense.augment.spatial:Elastic",
    "grid/flip": "neuroloom.learn.dense.augment.spatial:Flip",
    "grid/turn": "neuroloom.learn.dense.augment.tissue:Turn",
    "grid/noise": "neuroloom.learn.dense.augment.intensity:Noise",
    "grid/rician": "neuroloom.learn.dense.augment.intensity:rician",
    "grid/brightness": "neuroloom.learn.dense.augment.intensity:Brightness",
    "grid/contrast": "neuroloom.learn.dense.augment.intensity:Contrast",
    "grid/gamma": "neuroloom.learn.dense.augment.intensity:Gamma",
    "grid/invert": "neuroloom.learn.dense.augment.intensity:Invert",
    "grid/lookup": "neuroloom.learn.dense.augment.intensity:Lookup",
    "grid/bias-field": "neuroloom.learn.dense.augment.intensity:BiasField",
    "grid/rescale": "neuroloom.learn.dense.augment.intensity:Rescale",
    "grid/znormalise": "neuroloom.learn.dense.augment.intensity:ZNormalise",
    "grid/blur": "neuroloom.learn.dense.augment.axiswise:Blur",
    "grid/low-resolution": "neuroloom.learn.dense.augment.axiswise:LowResolution",
    "grid/anisotropy": "neuroloom.learn.dense.augment.axiswise:anisotropy",
    "grid/ghosting": "neuroloom.learn.dense.augment.axiswise:Ghosting",
    "grid/motion": "neuroloom.learn.dense.augment.artefacts:Motion",
    "grid/spike": "neuroloom.learn.dense.augment.artefacts:Spike",
    "grid/swap": "neuroloom.learn.dense.augment.artefacts:Swap",
    "grid/cutout": "neuroloom.learn.dense.augment.artefacts:Cutout",
    "grid/mixup": "neuroloom.learn.dense.augment.artefacts:Mixup",
    "grid/histogram": "neuroloom.learn.dense.augment.histogram:Histogram",
    "grid/crop-pad": "neuroloom.learn.dense.augment.regrid:CropPad",
    "grid/resample": "neuroloom.learn.dense.augment.regrid:Resample",
}

# Names that other libraries give: what stands before them, and who makes a model of the rest.
OPEN: dict[str, dict[str, str]] = {"model": {"pose/timm": "neuroloom.pose.nets.timm:named"}}

_TABLES = {
    "recipe": RECIPES,
    "model": MODELS,
    "format": FORMATS,
    "image": IMAGES,
    "label": LABELS,
    "track": TRACKS,
    "augmentation": AUGMENTATIONS,
}


@cache
def table(kind: str) -> dict[str, str]:
    """Return name -> "module:object" for a kind, which is a key of `_TABLES`."""
    theirs = {point.name: point.value for point in entry_points(group=f"neuroloom.{kind}s")}
    return theirs | _TABLES[kind]


def names(kind: str, family: str | None = None) -> list[str]:
    """Return the registered names of a kind, sorted.

    Models and augmentations come in families ("dense/dynunet"): one family's are then named without
    it, and "" is the family of signals.

    Examples
    --------
    >>> "eegnet" in names("model", "")
    True
    """
    if family is None:
        return sorted(table(kind))
    split = [name.rpartition("/") for name in table(kind)]
    return sorted(name for before, _, name in split if before == family)


def key(kind: str, name: str, family: str = "") -> str:
    """Return the full name, "dense/dynunet", of what a family calls `name`.

    Raises
    ------
    ConfigError
        If the family has nothing of that name; the message suggests the nearest.

    Examples
    --------
    >>> key("model", "eegnet")
    'eegnet'
    >>> key("model", "timm/resnet18", "pose")
    'pose/timm/resnet18'
    """
    full = f"{family}/{name}" if family and "/" not in name else name
    if full in table(kind) or _opened(kind, full):
        return full
    if family and _opened(kind, f"{family}/{name}"):
        return f"{family}/{name}"
    known = names(kind, family)
    raise ConfigError(
        f"No {kind} is called '{name}'.{nearest(name, known)} Known: {', '.join(known)}."
    )


def _opened(kind: str, full: str) -> tuple[str, str] | None:
    """Return who makes what another library calls so, and its name there; None: nobody does."""
    for before, maker in OPEN.get(kind, {}).items():
        if full.startswith(f"{before}/"):
            return maker, full.removeprefix(f"{before}/")
    return None


def load(kind: str, name: str) -> Any:
    """Import what `name` stands for.

    Raises
    ------
    ConfigError
        If nothing has that name; the message suggests the nearest.

    Examples
    --------
    >>> load("recipe", "signals.decode").__name__
    'Decode'
    """
    if name in table(kind):
        return _imported(table(kind)[name])
    if opened := _opened(kind, name):
        maker, theirs = opened
        return _imported(maker)(theirs)
    known = ", ".join(names(kind))
    raise ConfigError(f"No {kind} is called '{name}'.{nearest(name, names(kind))} Known: {known}.")


def _imported(place: str) -> Any:
    module, _, attribute = place.partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found
