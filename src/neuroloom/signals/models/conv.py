"""Convolutional nets made for EEG and MEG."""

from neuroloom.signals.models.build import BROAD, net

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
deep4 = net(
    "deep4",
    "neuroloom.signals.nets.deep4:DeepConvNet",
    {"epochs": 100, "lr": 0.002, "crop": 0.8, "crops": 5, "threads": 1},
    summary="DeepConvNet: four blocks of convolution and max pooling; 4-38 Hz",
    source="Schirrmeister et al. (2017), Hum. Brain Mapp. 38, 5391-5420",
    likes={"band": BROAD, "oversampling": 2.5},
)
