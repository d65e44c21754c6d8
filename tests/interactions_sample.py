"""A sample of interactions, and what makes two of them equal."""

import numpy as np

from skrec import Interactions


def equal(left, right):
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(left.X, name), getattr(right.X, name))
    assert left.X.shape == right.X.shape
    for name in ("user_ids", "item_ids", "item_names", "timestamps", "reviews"):
        expected, found = getattr(left, name), getattr(right, name)
        assert (expected is None) == (found is None), name
        if expected is not None:
            assert expected.dtype == found.dtype, name
            np.testing.assert_array_equal(expected, found)
    return True


def sample():
    """Three users, three items, one of whose six entries is an explicit zero."""
    return Interactions.from_arrays(
        ["u2", "u0", "u1", "u0", "u2", "u0"],
        [30, 10, 10, 20, 20, 30],
        [4.0, 5.0, 0.0, 2.0, 3.5, 1.0],
        timestamps=[6, 1, 5, 2, 7, 3],
        reviews=["f", "a", "d", "b", None, "c"],
        item_names={10: "ten", 20: "twenty"},
    )
