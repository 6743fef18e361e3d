"""A last batch, or a part, of one row counts as any other does."""

import numpy as np

from helpers.small_study import STUDY, trained, written
from kregkit.store import Store


def test_one_row_is_trained_on_and_scored(tmp_path):
    x = np.random.default_rng(0).normal(size=(61, 3))
    y = (x[:, 0] > 0).astype(int)
    parts = {"x_train": x[:60], "y_train": y[:60]}  # 48 of them to train on
    np.savez(tmp_path / "d.npz", **parts, x_test=x[60:], y_test=y[60:])
    text = STUDY.replace('name = "iris"', 'file = "d.npz"').replace(', "L1L2"', "")
    text = text.replace('["kernel", "activity"]', '"activity"')
    text = text.replace("batch_size = 16", "batch_size = 47")
    stores = []
    for engine in ("batch", "fit"):
        out = tmp_path / engine
        assert trained(written(tmp_path, text), out, engine=engine) == (4, 0)
        stores.append(Store(out / "store").read().finals.sort("trial"))
    for column in ("train_score", "val_score", "test_score"):
        one, other = (finals[column].to_numpy() for finals in stores)
        np.testing.assert_allclose(one, other, atol=1e-6)
