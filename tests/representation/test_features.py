"""Features are what a plain forward hook gives, whatever the net, the batch and the file."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from torch import nn

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.representation.activations import Activity, choose_tokens, mask, pool, read_dmask
from neuroloom.representation.features import Choice, answer, extract_features, extract_to
from neuroloom.representation.layers import find_layers, list_layers, record, usual_layers
from neuroloom.representation.onnxfile import OnnxNet
from neuroloom.representation.seeing.top import TopStimuli
from neuroloom.representation.sources import Net, open_net
from neuroloom.representation.stimuli import from_array
from neuroloom.representation.store import file_name, open_array


def plain_hook(net, x, layer, batch):
    kept = []
    inner = dict(net.named_modules())[layer]
    hook = inner.register_forward_hook(lambda _, __, out: kept.append(out.detach().clone()))
    with torch.no_grad():
        for start in range(0, len(x), batch):
            net(torch.as_tensor(x[start : start + batch]))
    hook.remove()
    return torch.cat(kept).numpy()


class Tokens(nn.Module):
    """A small transformer: (n, 3, 16, 16) -> tokens."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, 4)
        self.cls = nn.Parameter(torch.zeros(1, 1, 8))
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x):
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        return self.block(torch.cat([self.cls.expand(len(x), -1, -1), tokens], 1))


def resnet(size=48):
    return open_net("grid/resnet18", (3, size, size)).module


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 7, 20])
def test_bit_for_bit_at_any_batch_size(batch):
    net, x = resnet(32), noise(20, 3, 32, 32)
    layers = ["encoder.layer1", "encoder.layer3", "output"]
    found = extract_features(net, x, layers, batch=batch)
    for layer in layers:
        np.testing.assert_array_equal(found[layer], plain_hook(net, x, layer, batch))
        np.testing.assert_allclose(found[layer], plain_hook(net, x, layer, 20), atol=1e-5)


@pytest.mark.parametrize(
    ("net", "x", "layer"),
    [
        (nn.Sequential(nn.Conv1d(4, 6, 5), nn.ReLU(inplace=True), nn.Flatten()), (9, 4, 30), "0"),
        (nn.Sequential(nn.Conv3d(1, 3, 3), nn.ELU()), (5, 1, 8, 8, 8), "1"),
        (nn.LSTM(5, 7, batch_first=True), (6, 12, 5), None),
        (nn.Sequential(nn.GRU(5, 7, batch_first=True)), (6, 12, 5), "0"),
    ],
    ids=["sequence", "volume", "lstm", "gru"],
)
def test_sequences_and_volumes(net, x, layer):
    x = noise(*x)
    if layer is None:
        net, layer = nn.Sequential(net), "0"
    found = extract_features(net, x, layer, batch=4)[layer]
    kept = []
    inner = dict(net.named_modules())[layer]

    def hook(_, __, out):
        kept.append((out[0] if isinstance(out, tuple) else out).clone())

    handle = inner.register_forward_hook(hook)
    with torch.no_grad():
        for start in range(0, len(x), 4):
            net(torch.as_tensor(x[start : start + 4]))
    handle.remove()
    np.testing.assert_array_equal(found, torch.cat(kept).numpy())


def test_a_later_step_in_place_changes_nothing():
    net = nn.Sequential(nn.Linear(6, 6), nn.ReLU(inplace=True), nn.Linear(6, 2)).eval()
    x = noise(8, 6)
    with torch.no_grad():
        wanted = net[0](torch.as_tensor(x)).numpy()
    found = extract_features(net, x, ["0", "2"])["0"]
    np.testing.assert_array_equal(found, wanted)
    assert (found < 0).any()


def test_what_comes_after_the_last_layer_is_not_computed():
    calls = []

    class Late(nn.Module):
        def forward(self, x):
            calls.append(len(x))
            return x

    net = nn.Sequential(nn.Linear(3, 3), Late()).eval()
    list(record(net, ["0"], [noise(2, 3)] * 5))
    assert len(calls) == 1  # the first batch goes all the way, to see which layers are called


def test_a_layer_that_is_called_twice_gives_its_last_answer():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x):
            return self.layer(self.layer(x))

    net, x = Twice().eval(), noise(4, 3)
    for found in record(net, ["layer"], [x, x]):
        with torch.no_grad():
            np.testing.assert_array_equal(found["layer"], net(torch.as_tensor(x)).numpy())


@pytest.mark.parametrize("format", ["npy", "hdf5", "zarr"])
def test_files_hold_what_memory_does(tmp_path, format):
    net, x = resnet(32), noise(11, 3, 32, 32)
    layers = ["encoder.layer2", "encoder.layer4"]
    wanted = extract_features(net, x, layers, batch=4)
    done = extract_to(tmp_path, Net(net, "net"), from_array(x), layers, batch=4, format=format)
    for layer in layers:
        name, _, key = done.files[layer].partition("::")
        np.testing.assert_array_equal(np.asarray(open_array(tmp_path / name, key)), wanted[layer])


def test_memory_does_not_grow_with_stimuli(tmp_path):
    class Wide(nn.Module):
        def forward(self, x):
            return x.repeat(1, 1000)

    net = nn.Sequential(Wide()).eval()
    peaks = []
    for count in (100, 1000):
        x = np.zeros((count, 20), np.float32)
        tracemalloc.start()
        extract_to(tmp_path / str(count), Net(net, "wide"), from_array(x), ["0"], batch=10)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (tmp_path / str(count) / "0.npy").stat().st_size > count * 20 * 1000 * 4
    assert peaks[1] < 1.3 * peaks[0]


def test_onnx_gives_what_torch_does(tmp_path):
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(size=(4, 3, 3, 3)), "b": rng.normal(size=4)}
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["y"], name="pool"),
    ]
    held = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()]
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4, 1, 1])], held,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "net.onnx")
    x = noise(5, 3, 8, 8)
    found = extract_features(str(tmp_path / "net.onnx"), x, ["conv", "relu"], batch=2)
    same = nn.Conv2d(3, 4, 3, padding=1)
    same.weight.data = torch.as_tensor(weights["w"], dtype=torch.float32)
    same.bias.data = torch.as_tensor(weights["b"], dtype=torch.float32)
    with torch.no_grad():
        wanted = same(torch.as_tensor(x))
    np.testing.assert_allclose(found["conv"], wanted.numpy(), atol=1e-5)
    np.testing.assert_allclose(found["relu"], wanted.clamp(min=0).numpy(), atol=1e-5)
    with pytest.raises(ConfigError, match="Did you mean 'relu'"):
        extract_features(str(tmp_path / "net.onnx"), x, ["relo"])
    with pytest.raises(DataError, match="expects stimuli"):
        extract_features(str(tmp_path / "net.onnx"), noise(5, 2, 8, 8))
    (tmp_path / "bad.onnx").write_bytes(b"no net")
    with pytest.raises(DataError, match="no ONNX file"):
        OnnxNet(tmp_path / "bad.onnx")


def test_tokens_of_transformers():
    net, x = Tokens().eval(), noise(3, 3, 16, 16)
    whole = extract_features(net, x, "block")["block"]
    assert whole.shape == (3, 17, 8)
    both = extract_features(net, x, "block", tokens="cls+mean")["block"]
    np.testing.assert_allclose(both[:, :8], whole[:, 0])
    np.testing.assert_allclose(both[:, 8:], whole[:, 1:].mean(1), rtol=1e-6)
    with pytest.raises(ConfigError, match="has no tokens"):
        choose_tokens(np.zeros((2, 3, 4, 4)), "cls")


def test_layers_by_name_end_and_glob():
    table = list_layers(resnet(), noise(1, 3, 48, 48))
    assert find_layers(["layer3"], table) == ["encoder.layer3"]
    assert find_layers(["encoder.layer?"], table) == [f"encoder.layer{k}" for k in range(1, 5)]
    with pytest.raises(ConfigError, match="Did you mean 'layer3'"):
        find_layers(["layr3"], table)
    with pytest.raises(ConfigError, match="may be encoder"):
        find_layers(["conv1"], table[table["layer"].str.contains(r"layer1\.")])
    with pytest.raises(ConfigError, match="fits none"):
        find_layers(["*nothing*"], table)
    usual = usual_layers(table)
    assert {"encoder.layer1", "encoder.layer4"} <= set(usual)
    assert len(usual) <= 8


def test_a_net_that_cannot_take_the_stimuli_says_their_shape():
    with pytest.raises(DataError, match=r"\(1, 5, 48, 48\)"):
        extract_features(resnet(), noise(2, 5, 48, 48))


def test_masks_and_pools(tmp_path):
    x = noise(4, 6, 5, 5)
    np.testing.assert_allclose(pool(x, "max"), x.max((2, 3)))
    np.testing.assert_array_equal(mask(x, [[0, 5], None, [1]]), x[:, [0, 5]][..., [1]])
    file = tmp_path / "a.dmask.csv"
    file.write_text("conv1=chn,col\n1,6\n2\nfc=\n")
    assert read_dmask(file) == {"conv1": [[0, 5], None, [1]], "fc": [None, None, None]}
    with pytest.raises(DataError, match="unit 9 of axis 1"):
        mask(x, [[9], None, None])
    file.write_text("conv1=chn\n1,x\n")
    with pytest.raises(DataError, match="line 2"):
        read_dmask(file)


def test_statistics_do_not_depend_on_batches():
    x = np.maximum(noise(30, 7), 0)
    x[:, 3] = 0
    one, many = Activity(), Activity()
    one.update(x)
    for start in range(0, 30, 8):
        many.update(x[start : start + 8])
    wide = x.astype(float)
    for seen in (one, many):
        told = seen.summary()
        assert told["mean"] == pytest.approx(wide.mean(), rel=1e-5)
        assert told["sd"] == pytest.approx(wide.std(), rel=1e-5)
        assert told["active"] == pytest.approx((wide > 0).mean())
        assert told["dead"] == pytest.approx(1 / 7)
    with np.errstate(invalid="ignore"):
        lifetime = 1 - wide.mean(0) ** 2 / (wide**2).mean(0)
    assert one.summary()["lifetime_sparseness"] == pytest.approx(np.nanmean(lifetime), rel=1e-5)


def test_top_stimuli_are_those_of_a_sort():
    x = noise(40, 5, 3, 3)
    best = TopStimuli(4)
    for start in range(0, 40, 9):
        best.update(x[start : start + 9], start)
    wanted = np.argsort(-x.max((2, 3)), axis=0, kind="stable")[:4].T
    np.testing.assert_array_equal(best.rows, wanted)


def test_choice_is_kept_of_every_batch():
    net, x = resnet(32), noise(5, 3, 32, 32)
    choice = Choice(pool="mean", places={"encoder.layer2": [[0, 1, 2], None, None]})
    for rows, found in answer(Net(net, "n"), from_array(x), ["encoder.layer2"], choice, 2):
        assert found["encoder.layer2"].shape == (rows.stop - rows.start, 3)


def test_names_of_files_are_of_any_system():
    assert file_name("/a/b:c") == "a-b-c"
    assert file_name("a", {"A.npy"}) == "a-2"
