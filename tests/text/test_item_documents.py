"""Documents of items: their forms, their order, and what is refused."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skrec.text._item_documents import check_item_documents

TEXTS = ["green tea", "", "roast coffee"]
COUNTS = np.array([[1, 1, 0], [0, 0, 0], [0, 0, 2]])


@pytest.mark.parametrize(
    "documents",
    [TEXTS, np.array(TEXTS), np.array(TEXTS, dtype=object), pd.Series(TEXTS), pl.Series(TEXTS)],
    ids=["list", "str", "object", "pandas", "polars"],
)
def test_texts_of_any_kind(documents):
    assert_array_equal(check_item_documents(documents, 3), TEXTS)


@pytest.mark.parametrize(
    "documents",
    [COUNTS, sparse.csc_matrix(COUNTS), pd.DataFrame(COUNTS), pl.DataFrame(COUNTS)],
    ids=["dense", "sparse", "pandas", "polars"],
)
def test_counts_of_any_kind(documents):
    found = check_item_documents(documents, 3)
    assert isinstance(found, sparse.csr_array)
    assert_array_equal(found.toarray(), COUNTS)


def test_a_missing_text_is_empty():
    assert_array_equal(
        check_item_documents(pd.Series(["tea", None, "mate"]), 3), ["tea", "", "mate"]
    )


def test_the_number_of_documents_and_their_order_are_checked():
    with pytest.raises(ValueError, match="item_features has 3 documents, X has 4 items"):
        check_item_documents(TEXTS, 4)
    series = pd.Series(TEXTS, index=["a", "c", "b"])
    ids = np.array(["a", "b", "c"])
    with pytest.raises(ValueError, match="index of item_features is not that of the items"):
        check_item_documents(series, 3, ids)
    assert_array_equal(check_item_documents(series.loc[ids], 3, ids), ["green tea", TEXTS[2], ""])
