"""Convolutional nets made for EEG and MEG."""

from neuroloom.signals.models.build import BROAD, MUSCLE, net

eegnet = net(
    "eegnet",
    "neuroloom.signals.nets.eegnet:EEGNet",
    {"epochs": 150, "lr": 0.01, "members": 3, "threads": 1},
    summary="compact net of temporal, depthwise spatial and separable convolutions; 4-38 Hz",
    source="Lawhern et al. (2018), J. Neural Eng. 15, 056013",
    likes={"band": BROAD, "oversampling": 2.5},
)
shallow = net(
    "shallow",
    "neuroloom.signals.nets.shallow:ShallowConvNet",
    {"epochs": 150, "lr": 0.005, "crop": 0.67, "crops": 5, "threads": 1},
    summary="ShallowConvNet: learnt filters, squared and pooled like log band power; 4-38 Hz",
    source="Schirrmeister et al. (2017), Hum. Brain Mapp. 38, 5391-5420",
    likes={"band": BROAD, "oversampling": 2.5},
)
musclenet = net(
    "musclenet",
    "neuroloom.signals.nets.muscle:MuscleNet",
    {"epochs": 100, "lr": 0.005, "members": 5, "threads": 1},
    summary="muscle activity: log power of channels and learnt mixtures, two layers",
    source="after Schirrmeister et al. (2017), Hum. Brain Mapp. 38, 5391-5420",
    likes=MUSCLE,
)
deep4 = net(
    "deep4",
    "neuroloom.signals.nets.deep4:DeepConvNet",
    {"epochs": 100, "lr": 0.002, "crop": 0.8, "crops": 5, "threads": 1},
    summary="DeepConvNet: four blocks of convolution and max pooling; 4-38 Hz",
    source="Schirrmeister et al. (2017), Hum. Brain Mapp. 38, 5391-5420",
    likes={"band": BROAD, "oversampling": 2.5},
)
eegnex = net(
    "eegnex",
    "neuroloom.signals.nets.eegnex:EEGNeX",
    {"epochs": 100, "lr": 0.002, "members": 3, "threads": 1},
    summary="EEGNet with a second temporal layer and dilated convolutions; 4-38 Hz",
    source="Chen et al. (2024), Biomed. Signal Process. Control 87, 105475",
    likes={"band": BROAD, "oversampling": 2.5},
)
eeg_tcnet = net(
    "eeg-tcnet",
    "neuroloom.signals.nets.eegtcnet:EEGTCNet",
    {"epochs": 200, "lr": 0.005, "members": 3, "threads": 1},
    summary="EEGNet's filters, then causal dilated convolutions; 4-38 Hz",
    source="Ingolfsson et al. (2020), IEEE SMC, 2958-2965",
    likes={"band": BROAD, "oversampling": 2.5},
)
eeg_itnet = net(
    "eeg-itnet",
    "neuroloom.signals.nets.eegitnet:EEGITNet",
    {"epochs": 200, "lr": 0.005, "members": 3, "threads": 1},
    summary="temporal filters of three lengths, causal depthwise convolutions; 4-38 Hz",
    source="Salami et al. (2022), IEEE Access 10, 36672-36685",
    likes={"band": BROAD, "oversampling": 2.5},
)
eeg_inception = net(
    "eeg-inception",
    "neuroloom.signals.nets.eeginception:EEGInception",
    {"epochs": 150, "lr": 0.001, "batch": 64, "threads": 1},
    summary="temporal scales side by side, for event-related potentials; 0.5-30 Hz",
    source="Santamaria-Vazquez et al. (2020), IEEE Trans. Neural Syst. Rehabil. Eng. 28, 2773",
    likes={"band": (0.5, 30.0), "oversampling": 4.0},
)
sccnet = net(
    "sccnet",
    "neuroloom.signals.nets.sccnet:SCCNet",
    {"epochs": 150, "lr": 0.001, "weight_decay": 0.0001, "members": 3, "threads": 1},
    summary="spatial components first, log power of their mixtures; 4-38 Hz",
    source="Wei et al. (2019), IEEE/EMBS Conf. Neural Eng., 328-331",
    likes={"band": BROAD, "oversampling": 2.5},
)
fbcnet = net(
    "fbcnet",
    "neuroloom.signals.nets.fbcnet:FBCNet",
    {"epochs": 200, "lr": 0.001, "batch": 16, "threads": 1},
    summary="nine bands, spatial filters for each, log variance in pieces; 4-40 Hz",
    source="Mane et al. (2021), arXiv:2104.01233",
    likes={"band": (4.0, 40.0), "oversampling": 2.5},
)
tidnet = net(
    "tidnet",
    "neuroloom.signals.nets.tidnet:TIDNet",
    {"epochs": 60, "lr": 0.001},
    summary="temporal filters, densely connected filters across channels; 4-38 Hz",
    source="Kostas & Rudzicz (2020), J. Neural Eng. 17, 056008",
    likes={"band": BROAD, "oversampling": 2.5},
)
bd_tcn = net(
    "bd-tcn",
    "neuroloom.signals.nets.bdtcn:BDTCN",
    {"epochs": 150, "lr": 0.001, "batch": 64, "threads": 1},
    summary="temporal convolutional network, mean of its outputs; 4-38 Hz",
    source="Bai et al. (2018), arXiv:1803.01271; Gemein et al. (2020), NeuroImage 220, 117021",
    likes={"band": BROAD, "oversampling": 2.5},
)
