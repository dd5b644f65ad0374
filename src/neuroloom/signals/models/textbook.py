"""Nets of the textbook, made for no kind of signal in particular."""

from typing import Any

from neuroloom.signals.models.build import MOTOR, net

LIKES = {"band": MOTOR, "oversampling": 2.5}
# Chosen on simulated movements (`signals/simulate.py`), one set for the whole family.
TRAINING = {"epochs": 120, "lr": 0.005, "crop": 0.67, "crops": 5, "threads": 1}


def _recurrent(cell: str, *, both: bool = False, attention: bool = False) -> Any:
    """Describe one of the twelve recurrent nets."""
    name = f"{'bi-' if both else ''}{cell}{'-attention' if attention else ''}"
    sources = {
        "rnn": "Elman (1990), Cogn. Sci. 14, 179-211",
        "lstm": "Hochreiter & Schmidhuber (1997), Neural Comput. 9, 1735-1780",
        "gru": "Cho et al. (2014), arXiv:1406.1078",
    }
    ways = "both directions" if both else "one direction"
    reading = "read by attention" if attention else "read at its end"
    return net(
        name,
        "neuroloom.nets.recurrent:Recurrent",
        TRAINING,
        fixed={"cell": cell, "bidirectional": both, "attention": attention},
        summary=f"{cell.upper()} over tokens of log power, {ways}, {reading}; 8-30 Hz",
        source=sources[cell] + ("; Zhou et al. (2016), ACL P16-2034" if attention else ""),
        likes=LIKES,
    )


mlp = net(
    "mlp",
    "neuroloom.nets.mlp:MLP",
    TRAINING | {"crop": 1.0, "crops": 1, "together": True},
    summary="fully connected layers on each channel's mean and log power in pieces; 8-30 Hz",
    source="Rumelhart, Hinton & Williams (1986), Nature 323, 533-536",
    likes=LIKES,
)
cnn = net(
    "cnn",
    "neuroloom.nets.conv:CNN",
    TRAINING,
    summary="plain convolutional net on tokens of log power; 8-30 Hz",
    source="LeCun et al. (1998), Proc. IEEE 86, 2278-2324",
    likes=LIKES,
)
res_cnn = net(
    "res-cnn",
    "neuroloom.nets.conv:ResCNN",
    TRAINING,
    summary="residual convolutional net on tokens of log power; 8-30 Hz",
    source="He et al. (2016), ECCV, arXiv:1603.05027",
    likes=LIKES,
)
dense_cnn = net(
    "dense-cnn",
    "neuroloom.nets.conv:DenseCNN",
    TRAINING,
    summary="densely connected convolutional net on tokens of log power; 8-30 Hz",
    source="Huang et al. (2017), CVPR, arXiv:1608.06993",
    likes=LIKES,
)
fcn = net(
    "fcn",
    "neuroloom.nets.conv:FCN",
    TRAINING,
    summary="fully convolutional net on the samples, mean over time; 8-30 Hz",
    source="Wang, Yan & Oates (2017), IJCNN, arXiv:1611.06455",
    likes=LIKES,
)
siamese = net(
    "siamese",
    "neuroloom.nets.siamese:Siamese",
    TRAINING,
    summary="twin nets, the class by distance to five examples of each; 8-30 Hz",
    source="Koch et al. (2015), ICML workshop; Snell et al. (2017), arXiv:1703.05175",
    tasks=("classification",),
    likes=LIKES,
)
gcn = net(
    "gcn",
    "neuroloom.nets.graph:GCN",
    TRAINING,
    summary="Chebyshev filters on the graph of correlated channels, log power; 8-30 Hz",
    source="Defferrard et al. (2016), arXiv:1606.09375; Hou et al. (2022), arXiv:2006.08924",
    likes=LIKES,
)
res_gcn = net(
    "res-gcn",
    "neuroloom.nets.graph:GCN",
    TRAINING,
    fixed={"layers": 2, "residual": True},
    summary="residual net of Chebyshev filters on the graph of correlated channels; 8-30 Hz",
    source="Defferrard et al. (2016), arXiv:1606.09375; He et al. (2016), arXiv:1603.05027",
    likes=LIKES,
)
bilstm_gcn = net(
    "bilstm-gcn",
    "neuroloom.nets.graph:BiLSTMGCN",
    TRAINING,
    summary="BiLSTM with attention for each channel, then Chebyshev filters; 8-30 Hz",
    source="Hou et al. (2022), Front. Bioeng. Biotechnol. 9, 706229",
    likes=LIKES,
)
rnn = _recurrent("rnn")
lstm = _recurrent("lstm")
gru = _recurrent("gru")
bi_rnn = _recurrent("rnn", both=True)
bi_lstm = _recurrent("lstm", both=True)
bi_gru = _recurrent("gru", both=True)
rnn_attention = _recurrent("rnn", attention=True)
lstm_attention = _recurrent("lstm", attention=True)
gru_attention = _recurrent("gru", attention=True)
bi_rnn_attention = _recurrent("rnn", both=True, attention=True)
bi_lstm_attention = _recurrent("lstm", both=True, attention=True)
bi_gru_attention = _recurrent("gru", both=True, attention=True)
transformer = net(
    "transformer",
    "neuroloom.nets.transformer:Transformer",
    TRAINING,
    summary="transformer encoder over tokens of log power; 8-30 Hz",
    source="Vaswani et al. (2017), arXiv:1706.03762",
    likes=LIKES,
)
bayes_cnn = net(
    "bayes-cnn",
    "neuroloom.nets.bayes:BayesCNN",
    TRAINING,
    summary="convolutional net with Monte Carlo dropout: a mean over thinned nets; 8-30 Hz",
    source="Gal & Ghahramani (2016), ICML, arXiv:1506.02142",
    likes=LIKES,
)
spectrogram_cnn = net(
    "spectrogram-cnn",
    "neuroloom.nets.image:SpectrogramCNN",
    TRAINING,
    summary="2-D convolutional net on spectrograms made inside the net; 8-30 Hz",
    source="Gumpy's STFT-CNN: Tayeb et al. (2019), Sensors 19, 210",
    likes=LIKES,
)
cnn_3d = net(
    "cnn-3d",
    "neuroloom.nets.image:CNN3D",
    TRAINING,
    wants=("positions",),
    summary="3-D convolutional net on films of the scalp; 8-30 Hz; needs electrode positions",
    source="Zhao et al. (2019), IEEE Trans. Neural Syst. Rehabil. Eng. 27, 2164-2177",
    likes=LIKES,
)
