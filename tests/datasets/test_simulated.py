"""The simulation does what the paper says."""

import numpy as np
import pytest
from draws import check_means

from skrec.datasets import make_ratings_reviews


def test_ratings_and_words_follow_the_groups():
    data, truth = make_ratings_reviews(150, 100, sparsity=0.7, return_truth=True, random_state=0)
    again = make_ratings_reviews(150, 100, sparsity=0.7, random_state=0)
    np.testing.assert_array_equal(again.X.toarray(), data.X.toarray())
    assert again.reviews.tolist() == data.reviews.tolist()
    assert abs(data.X.nnz - 0.3 * 15_000) < 5 * np.sqrt(0.3 * 0.7 * 15_000)
    assert sorted(np.unique(data.X.data)) == [1, 2, 3, 4]
    assert np.bincount(truth.user_groups).tolist() == [75, 75]
    assert np.bincount(truth.item_groups).tolist() == [50, 50]
    rows, columns = data.X.nonzero()
    users, items = truth.user_groups[rows], truth.item_groups[columns]
    np.testing.assert_array_equal(truth.topics, 2 * users + items)
    for user in (0, 1):
        for item in (0, 1):
            ratings = data.X.data[(users == user) & (items == item)]
            expected = truth.expected_ratings[user, item]
            assert ratings.mean() == pytest.approx(expected, abs=5 * 0.9 / len(ratings) ** 0.5)
    assert truth.expected_ratings[0, 0] == truth.expected_ratings[1, 1]
    assert truth.expected_ratings[0, 0] < truth.expected_ratings[0, 1]
    lengths = [len(text.split()) for text in data.reviews]
    assert (min(lengths), max(lengths)) == (95, 105)
    for topic, words in enumerate(truth.words):
        texts = data.reviews[truth.topics == topic]
        # some words, such as "the", are in all four texts
        others = [np.isin(other, words).mean() for other in truth.words if other is not words]
        own = [np.isin(text.split(), words).mean() for text in texts]
        check_means(own, 0.8 + 0.2 * np.mean(others))
    assert len(truth.words) == 4


def test_nobody_is_left_out():
    data = make_ratings_reviews(50, 40, sparsity=0.99, random_state=0)
    assert data.X.shape == (50, 40)
    assert (np.diff(data.X.indptr) == 0).any()
    with pytest.raises(ValueError, match="'sparsity' parameter"):
        make_ratings_reviews(sparsity=1.0)
