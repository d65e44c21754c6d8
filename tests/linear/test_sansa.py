"""SANSA: EASE at full density, rows that are regressions, and what is kept of them."""

import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context

from skrec import EASE, SANSA
from skrec.solvers import _sparse_inverse
from skrec.solvers._sparse_inverse import sparse_inverse
from skrec.utils import _memory


def matrix(seed=0, shape=(120, 40), density=0.3):
    """Items of very different popularity, any two of which have users in common."""
    rng = np.random.default_rng(seed)
    popularity = np.linspace(2 * density, 0.4 * density, shape[1])
    return sparse.csr_array((rng.random(shape) < popularity) * rng.integers(1, 6, shape) * 1.0)


def by_popularity(X):
    squares = (X.toarray() ** 2).sum(axis=0)
    return np.lexsort((np.arange(X.shape[1]), -squares))


def penalised_gram(X, penalty):
    return (X.T @ X).toarray() + penalty * np.eye(X.shape[1])


def product(inverse):
    factor = inverse.factor.toarray()
    return factor.T @ (factor / inverse.residuals[:, None])


def cosines_with(item, others, gram):
    return np.abs(gram[item, others]) / np.sqrt(gram[others, others])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_at_full_density_it_is_ease(dtype):
    X, new = matrix().astype(dtype), matrix(1).astype(dtype)
    model, ease = SANSA(2.0, density=1.0).fit(X), EASE(2.0, method="primal").fit(X)
    atol = 1e-5 if dtype == np.float32 else 1e-12
    assert model.predict(new).dtype == dtype
    np.testing.assert_allclose(model.predict(new), ease.predict(new), atol=atol)
    np.testing.assert_allclose((model.left_ @ model.right_).toarray(), ease.coef_, atol=atol)
    for ours, theirs in zip(
        model.similar_items([0, 7], k=5, return_scores=True),
        ease.similar_items([0, 7], k=5, return_scores=True),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=atol)


def test_each_row_is_a_regression_on_some_of_the_more_popular(monkeypatch):
    monkeypatch.setattr(_sparse_inverse, "_N_SPARE", 0)
    X, penalty, k = matrix(2), 3.0, 6
    order, gram = by_popularity(X), penalised_gram(X, 0.0)
    factor, residuals = sparse_inverse(X, penalty, k)
    for place, item in enumerate(order):
        earlier = order[:place]
        nearest = np.argsort(-cosines_with(item, earlier, gram), kind="stable")[:k]
        near = np.sort(earlier[nearest])
        row = factor[[item]].toarray().ravel()
        np.testing.assert_array_equal(np.flatnonzero(row), np.sort(np.append(near, item)))
        inputs = np.vstack([X[:, near].toarray(), np.sqrt(penalty) * np.eye(len(near))])
        target = np.append(X[:, [item]].toarray(), np.zeros(len(near)))
        weights = np.linalg.lstsq(inputs, target)[0]
        np.testing.assert_allclose(row[near], -weights, atol=1e-10)
        np.testing.assert_allclose(
            residuals[item], ((target - inputs @ weights) ** 2).sum() + penalty
        )
        assert row[item] == 1


def test_of_twice_as_many_those_whose_weights_tell_most_are_kept():
    X, penalty, k = matrix(3), 3.0, 5
    order, gram, full = by_popularity(X), penalised_gram(X, 0.0), penalised_gram(X, penalty)
    factor, _ = sparse_inverse(X, penalty, k)
    for place, item in enumerate(order[2 * k :], 2 * k):
        earlier = order[:place]
        tried = np.sort(np.argsort(-cosines_with(item, earlier, gram), kind="stable")[: 2 * k])
        tried = earlier[tried]
        weights = np.linalg.solve(full[np.ix_(tried, tried)], full[tried, item])
        kept = tried[np.argsort(-(weights**2) * full[tried, tried], kind="stable")[:k]]
        row = factor[[item]].toarray().ravel()
        assert set(np.flatnonzero(row)) == {*kept.tolist(), item}
        expected = np.linalg.solve(full[np.ix_(kept, kept)], full[kept, item])
        np.testing.assert_allclose(row[kept], -expected, atol=1e-10)


@pytest.mark.parametrize("n_head", [1, 3, 25])
def test_inner_products_are_the_same_wherever_they_come_from(monkeypatch, n_head):
    X = matrix(4, (80, 60), 0.1)
    X.data *= np.random.default_rng(4).choice([-1, 1], X.nnz)
    expected = sparse_inverse(X, 1.5, 7)
    monkeypatch.setattr(_sparse_inverse, "_N_HEAD", n_head)
    found = sparse_inverse(X, 1.5, 7)
    np.testing.assert_allclose(found.factor.toarray(), expected.factor.toarray(), atol=1e-12)
    np.testing.assert_allclose(found.residuals, expected.residuals)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_blocks_and_threads_do_not_matter(monkeypatch, n_threads):
    X = matrix(5)
    expected = sparse_inverse(X, 2.0, 4)
    monkeypatch.setattr(_sparse_inverse, "_BLOCK_ROWS", 7)
    found = sparse_inverse(X, 2.0, 4, n_threads)
    np.testing.assert_array_equal(found.factor.toarray(), expected.factor.toarray())
    np.testing.assert_array_equal(found.residuals, expected.residuals)


def test_a_matrix_of_blocks_is_inverted_exactly_by_rows_of_a_block():
    X = sparse.csr_array(
        sparse.block_diag([matrix(seed, (30, 6), 0.5) for seed in range(4)], format="csr")
    )
    exact = np.linalg.inv(penalised_gram(X, 2.0))
    np.testing.assert_allclose(product(sparse_inverse(X, 2.0, 5)), exact, atol=1e-12)
    assert np.abs(product(sparse_inverse(X, 2.0, 2)) - exact).max() > 1e-3


@pytest.mark.parametrize("k", [1, 4, 39])
def test_the_inverse_is_positive_definite_and_of_unit_expectation(k):
    X = matrix(6)
    inverse = sparse_inverse(X, 2.0, k)
    factor, gram = inverse.factor.toarray(), penalised_gram(X, 2.0)
    assert np.linalg.eigvalsh(product(inverse)).min() > 0
    # Each row is the best on its columns: what is left of the item is its residual.
    np.testing.assert_allclose(np.diag(factor @ gram @ factor.T), inverse.residuals)


def test_the_error_falls_with_the_density():
    X, new = matrix(7), matrix(8)
    exact = EASE(5.0).fit(X).predict(new)
    errors = [
        np.abs(SANSA(5.0, density=density).fit(X).predict(new) - exact).mean()
        for density in (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
    ]
    assert (np.diff(errors) < 0).all()
    assert errors[-1] < 1e-12


def test_the_diagonal_is_zero_at_any_density():
    X = matrix(9)
    model = SANSA(2.0, density=0.1).fit(X)
    coef = (model.left_ @ model.right_).toarray()
    np.testing.assert_allclose(np.diag(coef), 0, atol=1e-12)
    np.testing.assert_allclose(model.predict(X), X @ coef, atol=1e-12)


def test_default_density_is_50_other_items():
    X = matrix(10, (200, 130))
    model = SANSA().fit(X)
    lengths = np.diff(model.left_[:, :130].tocsc().indptr)
    np.testing.assert_array_equal(np.sort(lengths), np.minimum(np.arange(130), 50) + 1)
    np.testing.assert_array_equal(
        SANSA(density=51 / 130).fit(X).right_.toarray(), model.right_.toarray()
    )
    few = X[:, :30]
    np.testing.assert_array_equal(
        SANSA().fit(few).predict(few), SANSA(density=1.0).fit(few).predict(few)
    )


def test_explain_and_similar_items():
    X = matrix(11)
    model = SANSA(2.0, density=0.2).fit(X)
    items = model.recommend(X[:4], k=3)
    for user, contributions in enumerate(model.explain(X[:4], items)):
        np.testing.assert_allclose(
            contributions.sum(axis=1), model.predict(X[:4])[user][items[user]], atol=1e-12
        )
    coef = (model.left_ @ model.right_).toarray()
    correlations = np.sign(coef) * np.sqrt(np.maximum(coef * coef.T, 0))
    indices, scores = model.similar_items([0, 20], k=39, return_scores=True)
    np.testing.assert_allclose(
        scores, np.take_along_axis(correlations[[0, 20]], indices, axis=1), atol=1e-12
    )
    assert (np.diff(scores, axis=1) <= 0).all()


def test_similar_items_and_scores_stream():
    X = matrix(12, (60, 300), 0.05)
    model = SANSA(2.0, density=0.05).fit(X)
    everything = np.arange(300)
    expected = model.similar_items(everything), model.recommend(X)
    with config_context(working_memory=0.01):
        np.testing.assert_array_equal(model.similar_items(everything), expected[0])
        np.testing.assert_array_equal(model.recommend(X), expected[1])


def test_negative_entries_and_items_without_users():
    X = np.array([[1.0, -1, 0, 0], [-1, 1, 1, 0], [0, 0, 0, 0], [1, -1, 0, 0]])
    for density in (0.5, 1.0):
        model = SANSA(1.0, density=density).fit(X)
        scores = model.predict(X)
        assert np.isfinite(scores).all()
        np.testing.assert_array_equal(scores[:, 3], 0)
        assert (model.left_ @ model.right_)[0, 1] < 0


def test_a_density_that_keeps_nothing_is_refused_and_the_old_fit_stays():
    X = matrix(13)
    model = SANSA(2.0).fit(X)
    before = model.predict(X)
    message = r"density=0.04 keeps nothing of 40 items but the diagonal: .* 2 / n_items = 0.05"
    with pytest.raises(ValueError, match=message):
        model.set_params(density=0.04).fit(X)
    np.testing.assert_array_equal(model.predict(X), before)
    SANSA(density=2 / 40).fit(X)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"l2": 0.0}, "'l2' parameter of SANSA must be a float in the range"),
        ({"density": 0.0}, "'density' parameter of SANSA must be a float in the range"),
        ({"density": 1.5}, "'density' parameter of SANSA must be a float in the range"),
    ],
)
def test_parameters_out_of_range(params, message):
    with pytest.raises(ValueError, match=message):
        SANSA(**params).fit(matrix())


def test_rounding_errors_that_leave_nothing_are_reported():
    X = sparse.csr_array(np.tile(np.random.default_rng(0).random((50, 8)), 2))
    SANSA(1e-6).fit(X)
    for density in (0.5, 1.0):
        with pytest.raises(np.linalg.LinAlgError, match="exceed the penalty .* larger l2"):
            SANSA(1e-16, density=density).fit(X)


def test_entries_of_very_different_size():
    X = matrix(14).toarray()
    X[:, 0] *= 1e-200  # its squares are 0
    assert np.isfinite(SANSA(1.0, density=0.2).fit(X).predict(X)).all()
    with pytest.raises(ValueError, match="squares of X overflow: scale X down"):
        SANSA().fit(1e300 * X)


def test_memory_error_says_what_is_needed_and_what_needs_less(monkeypatch):
    X = matrix()
    monkeypatch.setattr(_memory, "available_memory", lambda: 1000)
    with pytest.raises(MemoryError, match=r"SANSA\(density=1.0\) on 40 items .* lower density"):
        SANSA(density=1.0).fit(X)
