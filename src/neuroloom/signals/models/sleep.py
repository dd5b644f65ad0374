"""Nets for sleep: one epoch at a time, or a night in context."""

from neuroloom.signals.models.build import net

BAND = (0.3, 30.0)
EPOCH_NET = "neuroloom.signals.nets.chambon2018:Chambon2018"

chambon2018 = net(
    "chambon2018",
    EPOCH_NET,
    {"epochs": 20, "lr": 0.001, "threads": 1, "balance": True},
    summary="two temporal convolutions on spatially filtered channels, one epoch of sleep",
    source="Chambon et al. (2018), IEEE Trans. Neural Syst. Rehabil. Eng. 26, 758-769",
    likes={"band": BAND, "oversampling": 3.2},
)
chambon2018_gru = net(
    "chambon2018-gru",
    EPOCH_NET,
    {"epochs": 40, "lr": 0.001, "batch": 8, "threads": 1, "balance": True},
    around="neuroloom.signals.nets.sequence:Sequence",
    dense="own",
    summary="Chambon2018 for each epoch, a bidirectional GRU over the epochs around it",
    source="Chambon et al. (2018), as above; Phan et al. (2019), IEEE TNSRE 27, 400-410",
    likes={"band": BAND, "oversampling": 3.2, "context": 7, "sequence": True},
)
usleep = net(
    "usleep",
    "neuroloom.signals.nets.usleep:USleep",
    {"epochs": 40, "lr": 0.001, "batch": 8, "balance": True},
    dense="own",
    summary="U-Sleep: a U-Net over hours of sleep, one stage for each stretch of any length",
    source="Perslev et al. (2021), npj Digit. Med. 4, 72",
    likes={"band": BAND, "oversampling": 3.2, "context": 17, "sequence": True},
)
deepsleepnet = net(
    "deepsleepnet",
    "neuroloom.signals.nets.deepsleepnet:DeepSleepNet",
    {"epochs": 40, "lr": 0.0001, "batch": 8, "balance": True},
    dense="own",
    summary="DeepSleepNet: detail and rhythm of each epoch, LSTM over the epochs around it",
    source="Supratak et al. (2017), IEEE Trans. Neural Syst. Rehabil. Eng. 25, 1998-2008",
    likes={"band": BAND, "oversampling": 3.2, "context": 12, "sequence": True},
)
