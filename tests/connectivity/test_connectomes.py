"""Reading connectomes, folds, what is measured of nodes, and what is refused."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from scipy.io import savemat

from neuroloom.connectivity.connectomes.collect import collect
from neuroloom.connectivity.connectomes.examples import Wish, make_examples
from neuroloom.connectivity.connectomes.features import node_profiles
from neuroloom.connectivity.connectomes.files import correlations, read_connectome
from neuroloom.connectivity.connectomes.linear import fit_ridge
from neuroloom.connectivity.connectomes.nodes import Nodes
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.recording import graph
from tests import wired

TRUE = np.array([[0, 2.5, 0], [1.0, 0, 4], [0, 3, 0]])


def write_all(folder):
    """The same graph in every format."""
    np.savetxt(folder / "a.csv", TRUE, delimiter=",")
    np.savetxt(folder / "b.txt", TRUE)
    (folder / "c.tsv").write_text("\tA\tB\tC\nA\t0\t2.5\t0\nB\t1\t0\t4\nC\t0\t3\t0\n")
    np.save(folder / "d.npy", TRUE)
    np.savez(folder / "e.npz", weights=TRUE)
    savemat(folder / "f.mat", {"weights": TRUE})
    rows = [f"{i} {j} {TRUE[i, j]}" for i, j in np.argwhere(TRUE)]
    (folder / "g.edgelist").write_text("\n".join(rows) + "\n")
    (folder / "h.csv").write_text("source,target,weight\nA,B,2.5\nB,A,1\nB,C,4\nC,B,3\n")
    nx.write_graphml(nx.from_numpy_array(TRUE, create_using=nx.DiGraph), folder / "i.graphml")
    return sorted(folder.iterdir())


def test_every_format_gives_the_same_graph(tmp_path):
    for file in write_all(tmp_path):
        found = read_connectome(file)
        assert found.dims == ("node", "node_to"), file.name
        assert np.allclose(found.values, TRUE), file.name


def test_a_named_matrix_keeps_its_names(tmp_path):
    write_all(tmp_path)
    assert list(read_connectome(tmp_path / "c.tsv").node.values) == ["A", "B", "C"]


def test_time_series_become_fishers_z(tmp_path):
    series = np.random.default_rng(0).normal(size=(40, 4)) @ np.triu(np.ones((4, 4)))
    np.savetxt(tmp_path / "sub_rois.1D", series)
    wanted = np.arctanh(np.corrcoef(series.T) - np.eye(4))
    assert np.allclose(read_connectome(tmp_path / "sub_rois.1D").values, wanted, atol=1e-6)
    assert np.allclose(correlations(series), wanted, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "1,2,3,4\n4,5,6,7\n7,8,9,1\n", "square"),
        ("a.csv", "0,1,2\n1,0,x\n2,3,0\n", "row 2, column 3"),
        ("a.csv", "0,1,2\n1,nan,3\n2,nan,0\n", "not finite"),
        ("a.csv", "0,1,2\n1,0\n2,3,0\n", "row 2"),
        ("a.txt", "", "empty"),
        ("a.edgelist", "0 1 2\n1 two three\n0 2 1\n2 3 1\n", "row 2"),
        ("a.graphml", "<graphml>", "GraphML"),
        ("a.doc", "0 1\n1 0\n", "one of"),
    ],
)
def test_what_is_no_connectome_is_named(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=said):
        read_connectome(tmp_path / name)


def test_a_pickle_is_refused_with_the_way_out(tmp_path):
    np.save(tmp_path / "abide.npy", np.array({"corr": TRUE}, dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="pickle.*np.savez"):
        collect(tmp_path / "abide.npy")


def test_a_stack_is_read_with_its_labels(tmp_path):
    made = wired.plant(12, 6, module=3)
    np.savez(tmp_path / "abide.npz", corr=made.x, label=made.y, site=made.site)
    dataset = make_examples(collect(tmp_path / "abide.npz"), Wish())
    assert np.allclose(dataset.x, made.x)
    assert dataset.y.tolist() == made.y.tolist()
    assert dataset.table["site"].tolist() == [str(one) for one in made.site]


def test_edge_lists_without_the_last_nodes_are_aligned(tmp_path):
    (tmp_path / "p1.edgelist").write_text("0 1 1\n1 2 1\n2 3 1\n3 4 1\n")
    (tmp_path / "p2.edgelist").write_text("0 1 2\n1 2 2\n2 3 1\n")
    (tmp_path / "who.csv").write_text("subject,kind\np1,a\np2,b\n")
    dataset = make_examples(collect(tmp_path), Wish(target="kind"))
    assert dataset.x.shape == (2, 5, 5)
    assert dataset.x[1, 4].sum() == 0


def test_unlike_regions_are_refused(tmp_path):
    for name, nodes in (("p1", "ABC"), ("p2", "ABD")):
        rows = [f"{a},{','.join('1' if a != b else '0' for b in nodes)}" for a in nodes]
        (tmp_path / f"{name}.csv").write_text(f",{','.join(nodes)}\n" + "\n".join(rows) + "\n")
    (tmp_path / "who.tsv").write_text("subject\tkind\np1\ta\np2\tb\n")
    with pytest.raises(DataError, match="same regions"):
        make_examples(collect(tmp_path), Wish(target="kind"))


def test_a_column_that_is_not_there_has_a_neighbour(tmp_path):
    wired.write_connectomes(tmp_path)
    with pytest.raises(ConfigError, match="diagnosis"):
        make_examples(collect(tmp_path), Wish(target="diagnosys"))
    with pytest.raises(ConfigError, match="needs a column with the site"):
        make_examples(collect(tmp_path), Wish(target="site", split="site"))


def test_types_of_nodes_are_found_beside(tmp_path):
    for side in ("left", "right"):
        np.savetxt(tmp_path / f"{side}_adjacency.csv", TRUE, delimiter=" ")
        (tmp_path / f"{side}_labels.csv").write_text("K\nP\n\n" if side == "x" else "K\nP\nK\n")
    found = collect(tmp_path)
    assert found.level == "node"
    assert found.names == ["left", "right"]
    assert found.labels == [["K", "P", "K"]] * 2


def test_a_column_without_a_head_has_no_name_to_be_asked_for(tmp_path):
    for side, weights in (("left", TRUE), ("right", 2 * TRUE)):
        np.savetxt(tmp_path / f"{side}_adjacency.csv", weights, delimiter=" ")
        (tmp_path / f"{side}_labels.csv").write_text("K\nP\nK\n")
    with pytest.raises(ConfigError, match="'diagnosis' to learn.*without target"):
        make_examples(collect(tmp_path, target="diagnosis"), Wish(target="diagnosis"))
    assert collect(tmp_path, target="type").labels == [["K", "P", "K"]] * 2


def test_a_table_of_nodes_is_matched_by_name(tmp_path):
    (tmp_path / "worm.csv").write_text(",A,B,C\nA,0,2,0\nB,1,0,4\nC,0,3,0\n")
    (tmp_path / "worm_nodes.csv").write_text("node,side,type\nC,l,motor\nA,r,sensory\nB,l,n/a\n")
    assert collect(tmp_path).labels == [["sensory", "", "motor"]]
    assert collect(tmp_path, target="side").labels == [["r", "l", "l"]]


def test_profiles_do_not_depend_on_the_order_of_nodes():
    rng = np.random.default_rng(0)
    weights = rng.poisson(1.0, size=(30, 30)).astype(float)
    order = rng.permutation(30)
    turned = node_profiles(weights[np.ix_(order, order)])
    assert np.allclose(turned, node_profiles(weights)[order], atol=1e-6)


def test_nodes_carry_only_their_own_graphs():
    nodes = Nodes([TRUE, TRUE * 2], np.array([[0, 0], [0, 2], [1, 1]]))
    part = nodes[np.array([2])]
    assert len(part.graphs) == 1
    assert np.array_equal(part.graphs[0], TRUE * 2)
    assert part.all_nodes().places().tolist() == [0, 1, 2]


def test_left_out_scores_equal_fits_without_each(tmp_path):
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(0)
    x = rng.normal(size=(25, 40))
    y = x[:, :1] + rng.normal(size=(25, 1))
    found = fit_ridge(x, y)
    z = (x - found.mean) / found.scale
    errors = {}
    for penalty in 10.0 ** np.arange(-3, 5):
        out = np.array([
            Ridge(penalty * 40).fit(np.delete(z, k, 0), np.delete(y, k, 0)).predict(z[k : k + 1])[0]
            for k in range(25)
        ])  # fmt: skip
        errors[penalty] = out.reshape(-1, 1)
    best = min(errors, key=lambda p: ((errors[p] - y) ** 2).mean())
    assert np.allclose(found.left_out, errors[best], atol=0.02)
    model = Ridge(best * 40).fit(z, y)
    assert np.allclose(found.scores(x), model.predict(z).reshape(-1, 1), atol=1e-6)


def test_a_graph_is_checked():
    with pytest.raises(DataError, match="square"):
        graph(np.zeros((2, 3)))
    with pytest.raises(DataError, match="two nodes are called A"):
        graph(np.zeros((2, 2)), ["A", "A"])
    with pytest.raises(DataError, match="from node 1 to node 2 is nan"):
        graph(np.array([[0, np.nan], [0, 0]]))
