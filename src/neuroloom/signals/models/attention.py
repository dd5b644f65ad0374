"""Nets of attention and of a learnt graph among the channels."""

from neuroloom.signals.models.build import BROAD, net

LIKES = {"band": BROAD, "oversampling": 2.5}

# Rates and batches of the papers where a step of ours does the same; their hundreds of epochs
# serve a fixed rate, where one cycle needs fewer.
atcnet = net(
    "atcnet",
    "neuroloom.signals.nets.atcnet:ATCNet",
    {"epochs": 200, "lr": 0.001, "threads": 1},
    summary="EEGNet's front, attention and temporal convolutions in sliding windows; 4-38 Hz",
    source="Altaheri et al. (2022), IEEE Trans. Ind. Inform. 19, 2249-2258",
    likes=LIKES,
)
conformer = net(
    "conformer",
    "neuroloom.signals.nets.conformer:EEGConformer",
    {"epochs": 200, "lr": 0.0002, "batch": 72},
    summary="EEG Conformer: ShallowConvNet's front, attention among its time slices; 4-38 Hz",
    source="Song et al. (2023), IEEE Trans. Neural Syst. Rehabil. Eng. 31, 710-719",
    likes=LIKES,
)
ctnet = net(
    "ctnet",
    "neuroloom.signals.nets.ctnet:CTNet",
    {"epochs": 200, "lr": 0.001, "batch": 72, "threads": 1},
    summary="CTNet: EEGNet's front, a transformer over what it leaves in time; 4-38 Hz",
    source="Zhao et al. (2024), Sci. Rep. 14, 20237",
    likes=LIKES,
)
dgcnn = net(
    "dgcnn",
    "neuroloom.signals.nets.dgcnn:DGCNN",
    {"epochs": 100, "lr": 0.001, "threads": 1},
    summary="a learnt graph among the channels over their power in five bands; 1-45 Hz",
    source="Song et al. (2018), IEEE Trans. Affect. Comput. 11, 532-541",
    likes={"band": (1.0, 45.0), "oversampling": 2.5},
)
