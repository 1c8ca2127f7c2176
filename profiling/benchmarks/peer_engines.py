"""Other programs that predict with the release's trees, each installed in its own folder under build/peers.

treelite's General Tree Inference Library; TL2cgen, which writes C and has a compiler make a library of it; YDF's fast
engines, with the trees put into a model of YDF's node by node. lleaves reads LightGBM's trees alone.
"""

import math
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.blocks import Matrix
from inference.engines import XGBoostEngine
from inference.release import Release
from inference.trees import LEAF, Tree, read_trees
from profiling.benchmarks import peers_installed

Predict = Callable[[Matrix], npt.NDArray[np.float32]]
GTIL, TL2CGEN, YDF = "treelite GTIL", "TL2cgen", "YDF"
UNITS = 8  # C files that the trees are divided into: gcc takes minutes for one


def installed(name: str) -> Any:
    """The module of that name."""
    if (folder := str(peers_installed.library(name))) not in sys.path:
        sys.path.append(folder)
    return import_module(name)


def by_gtil(release: Release, threads: int) -> Predict:
    """treelite's General Tree Inference Library."""
    treelite = installed("treelite")
    model = treelite.frontend.from_xgboost(XGBoostEngine(release).classifier.get_booster())
    return lambda rows: treelite.gtil.predict(model, rows, nthread=threads).reshape(-1)


def by_tl2cgen(release: Release, threads: int) -> Predict:
    """C by TL2cgen, compiled by gcc."""
    treelite, tl2cgen = installed("treelite"), installed("tl2cgen")
    model = treelite.frontend.from_xgboost(XGBoostEngine(release).classifier.get_booster())
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "trees.so"
        tl2cgen.export_lib(model, toolchain="gcc", libpath=library, params={"parallel_comp": UNITS})
        predictor = tl2cgen.Predictor(library, nthread=threads)
    return lambda rows: predictor.predict(tl2cgen.DMatrix(rows, dtype="float32")).reshape(-1)


def by_ydf(release: Release, threads: int) -> Predict:
    """YDF: a model of the same columns is trained on noise, and its trees are replaced by the release's."""
    ydf = installed("ydf")
    trees, base = read_trees(XGBoostEngine(release).used_trees())
    drawn = np.random.default_rng(0).normal(size=(200, len(release.rows.columns))).astype(np.float32)
    learner = ydf.GradientBoostedTreesLearner(
        label="bad", num_trees=1, max_depth=2, validation_ratio=0.0, early_stopping="NONE"
    )
    model = learner.train({"row": drawn, "bad": (drawn[:, 0] > 0).astype(int)}, verbose=0)
    names = [column.name for column in model.data_spec().columns]
    numbers = [names.index(name) for name in sorted(names) if name.startswith("row")]

    def node(tree: Tree, at_node: int) -> Any:
        if tree.left[at_node] == LEAF:
            return ydf.tree.Leaf(value=ydf.tree.RegressionValue(value=tree.value[at_node], num_examples=1))
        return ydf.tree.NonLeaf(
            value=ydf.tree.RegressionValue(value=0.0, num_examples=1),
            condition=ydf.tree.NumericalHigherThanCondition(
                missing=not tree.missing_left[at_node], score=1.0, attribute=numbers[tree.column[at_node]],
                threshold=tree.value[at_node],
            ),
            pos_child=node(tree, tree.right[at_node]),
            neg_child=node(tree, tree.left[at_node]),
        )  # fmt: skip

    while model.num_trees():
        model.remove_tree(0)
    for tree in trees:
        model.add_tree(ydf.tree.Tree(root=node(tree, 0)))
    model.set_initial_predictions([math.log(base / (1 - base))])
    return lambda rows: model.predict({"row": rows}, num_threads=threads)


def peers() -> dict[str, Callable[[Release, int], Predict]]:
    """What can be compared with here: TL2cgen where there is a compiler."""
    return {GTIL: by_gtil, **({TL2CGEN: by_tl2cgen} if shutil.which("gcc") else {}), YDF: by_ydf}
