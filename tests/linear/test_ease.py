"""EASE against brute force, and its two closed forms against each other."""

import itertools
import pickle
import subprocess
import sys
import tracemalloc
import warnings
from decimal import Decimal, localcontext
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import LinAlgWarning
from sklearn import config_context
from sklearn.linear_model import Ridge

from skrec import EASE
from skrec.linear._ease_method import costs, memory
from skrec.solvers import _gram
from skrec.solvers._gram import gram_upper, invert_upper, mirror_upper
from skrec.utils import _memory
from skrec.utils._blocks import top_k


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    X = sparse.random_array((50, 30), density=0.2, rng=rng, format="csr")
    X.data = rng.integers(1, 6, X.nnz).astype(float)
    return X


def test_column_is_the_ridge_regression_of_the_item_on_the_others(X):
    coef = EASE(l2=3.0, method="primal").fit(X).coef_
    dense = X.toarray()
    for item in range(X.shape[1]):
        others = np.delete(np.arange(X.shape[1]), item)
        ridge = Ridge(alpha=3.0, fit_intercept=False).fit(dense[:, others], dense[:, item])
        np.testing.assert_allclose(coef[others, item], ridge.coef_, atol=1e-8)
        assert coef[item, item] == 0


def test_dropout_minimises_the_expected_error_over_all_masks():
    rng = np.random.default_rng(1)
    X, p, l2 = rng.integers(0, 3, (7, 4)).astype(float), 0.3, 0.5
    coef = EASE(l2=l2, dropout=p, method="primal").fit(X).coef_
    for item in range(4):
        others = np.delete(np.arange(4), item)
        inputs, targets = [np.sqrt(l2) * np.eye(3)], [np.zeros(3)]
        for kept in itertools.product([0, 1], repeat=3):
            probability = np.prod(np.where(kept, 1 - p, p))
            inputs.append(np.sqrt(probability) * X[:, others] * np.array(kept) / (1 - p))
            targets.append(np.sqrt(probability) * X[:, item])
        expected = np.linalg.lstsq(np.vstack(inputs), np.concatenate(targets))[0]
        np.testing.assert_allclose(coef[others, item], expected, atol=1e-10)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("weighted", [False, True])
def test_primal_dual_and_partial_fit_agree(X, dropout, weighted):
    rng = np.random.default_rng(2)
    weight = rng.integers(0, 4, X.shape[0]).astype(float) if weighted else None
    params = {"l2": 2.0, "dropout": dropout}
    primal = EASE(method="primal", **params).fit(X, sample_weight=weight)
    new_users = sparse.random_array((20, X.shape[1]), density=0.3, rng=rng, format="csr")
    expected = primal.predict(new_users)
    np.testing.assert_allclose(expected, new_users @ primal.coef_, atol=1e-12)
    dual = EASE(method="dual", **params).fit(X, sample_weight=weight)
    np.testing.assert_allclose(dual.predict(new_users), expected, atol=1e-6)
    for method, cuts in itertools.product(["auto", "primal", "dual"], [[25], [1, 2, 9, 40]]):
        chunked = EASE(method=method, **params)
        for rows in np.split(np.arange(X.shape[0]), cuts):
            chunked.partial_fit(X[rows], sample_weight=None if weight is None else weight[rows])
        np.testing.assert_allclose(chunked.predict(new_users), expected, atol=1e-6)


def test_auto_takes_what_costs_less_for_a_fit_and_scores():
    rng = np.random.default_rng(0)

    def cheaper(n_users, n_items, density=0.02, **options):
        lengths = [np.full(n, density * m) for n, m in [(n_users, n_items), (n_items, n_users)]]
        cost = costs(*lengths, **options)
        return min(cost, key=cost.get)

    assert cheaper(400, 4000) == "dual"
    assert cheaper(3900, 4000) == cheaper(4000, 4000) == cheaper(40_000, 4000) == "primal"
    # The dual's matrix is one of float64 whatever the dtype, and its scores are not on the GPU.
    assert cheaper(2500, 4000, 0.001) == "dual"
    assert cheaper(2500, 4000, 0.001, itemsize=4) == "primal"
    assert cheaper(2500, 4000, 0.001, device="cuda") == "primal"
    assert cheaper(100, 4000, device="cuda") == "dual"
    assert EASE().fit(rng.random((5, 80))).method_ == "dual"
    assert EASE().fit(rng.random((78, 80))).method_ == "primal"


def test_auto_takes_what_fits_in_memory(monkeypatch):
    X = sparse.random_array((70, 80), density=0.2, rng=np.random.default_rng(0), format="csr")
    needed = memory(*X.shape)
    assert needed["dual"] < needed["primal"]
    expected = EASE().fit(X)
    assert expected.method_ == "primal"
    memory_left = SimpleNamespace(available=memory(72, 80)["dual"])
    monkeypatch.setattr(_memory, "psutil", SimpleNamespace(virtual_memory=lambda: memory_left))
    model = EASE().fit(X)
    assert model.method_ == "dual"
    np.testing.assert_allclose(model.predict(X), expected.predict(X), atol=1e-12)
    model.partial_fit(X[:1])
    assert model.method_ == "dual"
    memory_left.available = needed["dual"] / 2
    with pytest.raises(MemoryError, match="keep the 49 items that fit"):
        model.fit(X)


def test_weight_of_a_user_is_its_number_of_copies(X):
    weight = np.arange(X.shape[0]) % 3
    repeated = EASE(l2=4.0).fit(X[np.repeat(np.arange(X.shape[0]), weight)])
    weighted = EASE(l2=4.0).fit(X, sample_weight=weight)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), atol=1e-10)


@pytest.mark.parametrize("method", ["primal", "dual"])
def test_explain_splits_each_score_over_the_history(X, method):
    model = EASE(l2=2.0, method=method).fit(X)
    items, scores = model.recommend(X, k=28, return_scores=True)
    assert (items == -1).any()
    for user, contributions in enumerate(model.explain(X, items)):
        assert contributions.shape == (28, X.shape[1])
        expected = np.where(items[user] == -1, 0, scores[user])
        np.testing.assert_allclose(contributions.sum(axis=1), expected, atol=1e-12)
        assert np.isin(contributions.indices, X[[user]].indices).all()
    seen = X[[0]].indices[:2]
    (contributions,) = model.explain(X[[0]], seen)
    np.testing.assert_allclose(contributions.sum(axis=1), model.predict(X[[0]])[0, seen])


@pytest.mark.parametrize("method", ["primal", "dual"])
def test_similar_items_have_the_largest_partial_correlation(X, method):
    model = EASE(l2=2.0, method=method).fit(X)
    precision = np.linalg.inv((X.T @ X).toarray() + 2 * np.eye(X.shape[1]))
    scale = np.sqrt(np.diag(precision))
    correlation = -precision / np.outer(scale, scale)
    np.fill_diagonal(correlation, -np.inf)
    indices, scores = model.similar_items([3, 7], k=29, return_scores=True)
    expected = np.argsort(-correlation[[3, 7]], axis=1)[:, :29]
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(scores, np.take_along_axis(correlation[[3, 7]], expected, axis=1))
    assert (np.abs(scores) <= 1).all()
    assert (model.similar_items([3], k=31)[0, 29:] == -1).all()


def test_dual_forms_no_items_by_items_matrix():
    n_items = 4000
    X = sparse.random_array((20, n_items), density=0.01, rng=np.random.default_rng(0)).tocsr()
    tracemalloc.start()
    model = EASE().fit(X)
    top = model.recommend(X, k=5)
    model.explain(X, top)
    model.similar_items([0, 1])
    model.partial_fit(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < n_items**2 * 8 / 10
    assert not hasattr(model, "coef_")
    with pytest.raises(AttributeError, match="method='primal'"):
        _ = model.coef_


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_primal_fit_needs_one_buffer(dtype):
    n_items = 1500
    X = sparse.random_array((3000, n_items), density=0.01, rng=np.random.default_rng(0))
    X = X.astype(dtype).tocsr()
    EASE().fit(X)
    tracemalloc.start()
    EASE().fit(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.3 * n_items**2 * np.dtype(dtype).itemsize


def test_partial_fit_holds_a_gram_matrix_instead_of_the_users(X):
    model = EASE(method="primal").fit(X)
    assert model._rows.nnz == X.nnz
    model.partial_fit(X)
    assert model._rows is None
    assert model._gram.shape == (X.shape[1], X.shape[1])


def test_dtype(X):
    assert EASE().fit(X).predict(X).dtype == np.float64
    assert EASE().fit(X.astype(np.float32)).predict(X).dtype == np.float32
    assert EASE(dtype=np.float32).fit(X).coef_.dtype == np.float32
    assert EASE(dtype="float32", method="dual").fit(X).predict(X).dtype == np.float32
    mixed = EASE().fit(X.astype(np.float32)).partial_fit(X).partial_fit(X)
    assert mixed.predict(X).dtype == np.float32


def test_later_changes_to_the_training_data_do_not_reach_the_model(X):
    model = EASE(method="dual").fit(X)
    users = X.copy()
    expected = model.predict(users)
    X.data[:] = 0
    np.testing.assert_array_equal(model.predict(users), expected)


def test_feedback_may_be_negative_and_users_empty():
    X = np.array([[1.0, -1, 0], [-1, 1, 1], [0, 0, 0], [1, -1, 0]])
    model = EASE(l2=1.0).fit(X)
    assert model.coef_[0, 1] < 0
    np.testing.assert_array_equal(model.predict(np.zeros((1, 3))), np.zeros((1, 3)))


def test_memory_error_says_what_is_needed_and_what_needs_less(X, monkeypatch):
    model = EASE().fit(X)
    expected = model.predict(X)
    memory = SimpleNamespace(virtual_memory=lambda: SimpleNamespace(available=1000))
    monkeypatch.setattr(_memory, "psutil", memory)
    needed = r"EASE\(method='primal'\) on 10 users x 30 items needs 8.72e-06 GiB, 9.31e-07 GiB"
    with pytest.raises(MemoryError, match=needed) as error:
        EASE(method="primal").fit(X[:10])
    # Neither half of it nor the dual would fit.
    assert "float32" not in str(error.value) and "dual" not in str(error.value)
    # 1.3 * 9 ** 2 numbers of 8 bytes are fewer than 1000 bytes.
    assert "keep the 9 items that fit, by Interactions.filter(" in str(error.value)
    assert "SANSA or ELSA" in str(error.value)
    with pytest.raises(MemoryError, match="filter"):
        EASE(method="dual").fit(X)
    memory.virtual_memory = lambda: SimpleNamespace(available=5000)
    with pytest.raises(MemoryError, match="dual' needs 9.69e-07 GiB, or dtype='float32' needs ha"):
        EASE(method="primal").fit(X[:10])
    memory.virtual_memory = lambda: SimpleNamespace(available=1000)
    for verb in (model.fit, model.partial_fit):
        with pytest.raises(MemoryError):
            verb(X)
        np.testing.assert_array_equal(model.predict(X), expected)


def test_memory_limit_of_a_container_counts(X, monkeypatch, tmp_path):
    monkeypatch.setattr(_memory, "_CGROUP", tmp_path)
    (tmp_path / "memory.current").write_text("900\n")
    (tmp_path / "memory.max").write_text("max\n")
    EASE().fit(X)
    (tmp_path / "memory.max").write_text("1900\n")
    with pytest.raises(MemoryError, match="9.31e-07 GiB are available"):
        EASE().fit(X)


def test_dual_is_exact_in_float32_for_popular_items_and_small_l2():
    rng = np.random.default_rng(0)
    X = (rng.random((200, 250)) < np.linspace(0.95, 0.01, 250)).astype(np.float32)
    exact = EASE(l2=0.1, method="dual").fit(X.astype(np.float64)).predict(X[:20])
    single = EASE(l2=0.1, method="dual").fit(X).predict(X[:20])
    np.testing.assert_allclose(single, exact, atol=1e-6 * np.abs(exact).max())


def test_overflow_is_reported(X):
    with pytest.raises(ValueError, match="squares of X overflow in float32: scale X down"):
        EASE(method="primal").fit((1e30 * X).astype(np.float32))


def test_chunks_without_weight_add_nothing(X):
    expected = EASE().fit(X).predict(X)
    for model in (EASE(), EASE(method="dual")):
        model.fit(X).partial_fit(X, sample_weight=np.zeros(X.shape[0]))
        np.testing.assert_allclose(model.predict(X), expected, atol=1e-12)


def test_similar_items_streams(X):
    n_items = 1500
    X = sparse.random_array((100, n_items), density=0.02, rng=np.random.default_rng(0)).tocsr()
    model = EASE().fit(X)
    tracemalloc.start()
    model.similar_items(np.arange(n_items))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    with config_context(working_memory=1):
        tracemalloc.start()
        model.similar_items(np.arange(n_items))
        _, small_peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert small_peak < n_items**2 * 8 / 4
    assert small_peak < peak


def test_precision_that_does_not_suffice_is_reported():
    X = np.tile(np.random.default_rng(0).random((50, 4)), 2)
    with pytest.warns(LinAlgWarning, match="use dtype='float64' or a larger l2"):
        EASE(l2=1e-5, dtype="float32").fit(X)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite in float32"):
        EASE(l2=1e-12, dtype="float32").fit(X)
    EASE(l2=1e-6).fit(X)


def play_counts(n_users, n_items, largest, seed=0):
    """Counts whose sizes are log-normal, of popular and of rare items."""
    rng = np.random.default_rng(seed)
    share = np.outer(rng.lognormal(sigma=0.7, size=n_users), rng.lognormal(size=n_items))
    chosen = rng.random(share.shape) < np.minimum(share * 0.1 / share.mean(), 0.9)
    sizes = rng.lognormal(sigma=0.27 * np.log(largest), size=share.shape)
    X = chosen * np.minimum(np.ceil(sizes), largest)
    X[np.unravel_index(X.argmax(), X.shape)] = largest
    return X


def exact_scores(X, l2):
    """Scores by Gauss-Jordan elimination with 60 decimal digits."""
    with localcontext(prec=60):
        rows = np.vectorize(Decimal, otypes=[object])(X)
        n_items = X.shape[1]
        identity = np.vectorize(Decimal, otypes=[object])(np.eye(n_items, dtype=int).tolist())
        both = np.hstack([rows.T @ rows + Decimal(l2) * identity, identity])
        for pivot in range(n_items):
            both[pivot] /= both[pivot, pivot]
            factors = both[:, pivot].copy()
            factors[pivot] = Decimal(0)
            both -= np.outer(factors, both[pivot])
        coef = -both[:, n_items:] / np.diagonal(both[:, n_items:])
        np.fill_diagonal(coef, Decimal(0))
        return (rows @ coef).astype(float)


def first_ten(scores, X):
    return top_k(np.where(X != 0, -np.inf, scores), 10)[0]


@pytest.mark.parametrize("largest", [1, 1_000, 1_000_000])
@pytest.mark.parametrize("shape", [(30, 60), (57, 60), (120, 60)])
@pytest.mark.parametrize("l2", [1e-9, 1e-3, 1.0, 500.0])
def test_first_ten_are_exact_or_a_warning_says_that_they_are_not(shape, largest, l2):
    X = play_counts(*shape, largest)
    exact = first_ten(exact_scores(X, l2), X)
    for method, dtype in itertools.product(["primal", "dual", "auto"], ["float32", "float64"]):
        model = EASE(l2=l2, method=method, dtype=dtype)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                model.fit(X)
            except np.linalg.LinAlgError as error:
                assert "larger l2" in str(error)
                continue
        if caught:
            assert all(issubclass(warning.category, LinAlgWarning) for warning in caught)
            assert "larger l2" in str(caught[0].message)
            continue
        found = first_ten(model.predict(X).astype(float), X)
        same = [len(np.intersect1d(*lists)) for lists in zip(exact, found, strict=True)]
        assert np.mean(same) >= 9.9


@pytest.mark.parametrize("method", ["primal", "dual", "auto"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_warning_where_there_are_digits_enough(method, dtype):
    for shape, largest, l2 in [((90, 60), 1, 1.0), ((40, 60), 1_000, 500.0), ((40, 60), 5, 10.0)]:
        EASE(l2=l2, method=method, dtype=dtype).fit(play_counts(*shape, largest))


def test_dual_names_what_it_has_lost_and_auto_takes_the_primal():
    X = play_counts(20, 60, 1_000_000)
    with pytest.warns(LinAlgWarning, match="of the first 10 places.* use method='primal' or"):
        EASE(l2=1e-4, method="dual").fit(X)
    assert EASE(l2=10).fit(X).method_ == "dual"
    assert EASE(l2=1e-4).fit(X).method_ == "primal"
    chunked = EASE(l2=1e-3)
    for chunk in np.split(X, [1, 15]):
        chunked.partial_fit(chunk)
    expected = first_ten(exact_scores(X, 1e-3), X)
    np.testing.assert_array_equal(first_ten(chunked.predict(X), X), expected)
    with pytest.raises(np.linalg.LinAlgError, match=r"of item \d+: use method='primal' or"):
        EASE(l2=1e-6, method="dual").fit(play_counts(57, 60, 1_000_000))


def test_auto_takes_the_dual_where_float32_does_not_suffice():
    X = play_counts(50, 60, 1)
    with pytest.warns(LinAlgWarning, match="dtype='float64' or method='dual' or a larger l2"):
        EASE(l2=1e-5, dtype="float32", method="primal").fit(X)
    model = EASE(l2=1e-5, dtype="float32").fit(X)
    assert model.method_ == "dual"


@pytest.mark.parametrize("method", ["primal", "dual"])
def test_a_large_l2_gives_small_weights_or_is_refused(X, method):
    weights = EASE(l2=1e300, method=method).fit(X)
    gram = (X.T @ X).toarray()
    np.fill_diagonal(gram, 0)
    np.testing.assert_allclose(weights.predict(X) * 1e300, X @ gram, rtol=1e-10)
    X = X.astype(np.float32)
    np.testing.assert_allclose(
        EASE(l2=1e35, method=method).fit(X).predict(X) * 1e35, X @ gram, rtol=1e-5
    )
    with pytest.raises(ValueError, match=r"l2=1e\+300 makes every weight .* dtype='float64'"):
        EASE(l2=1e300, method=method).fit(X)


def test_a_small_l2_does_not_overflow(X):
    X = X.astype(np.float32)
    empty = sparse.csr_array((X.shape[0], 1), dtype=np.float32)
    with_empty = sparse.hstack([X, empty], format="csr")
    model = EASE(l2=1e-300, method="primal").fit(with_empty)
    assert np.isfinite(model.coef_).all()


def test_symmetric_product_against_dense():
    rng = np.random.default_rng(0)
    matrix = rng.random((300, 300))
    left = rng.random((7, 300))
    expected = left @ (np.triu(matrix) + np.triu(matrix, 1).T)
    np.testing.assert_allclose(_gram.symmetric_product(left, matrix), expected)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"l2": 0}, "'l2' parameter of EASE must be a float in the range"),
        ({"l2": np.nan}, "'l2' parameter of EASE"),
        ({"dropout": 1.0}, "'dropout' parameter of EASE must be a float in the range"),
        ({"dtype": "int8"}, "'dtype' parameter of EASE must be"),
        ({"dtype": np.int32}, "'dtype' parameter of EASE must be"),
        ({"method": "lu"}, "'method' parameter of EASE must be a str among"),
        ({"device": "tpu"}, "'device' parameter of EASE must be a str among"),
    ],
)
def test_parameters_out_of_range(X, params, message):
    with pytest.raises(ValueError, match=message):
        EASE(**params).fit(X)


def test_wrong_arguments(X):
    model = EASE().fit(X)
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        model.fit(X, sample_weight=-np.ones(X.shape[0]))
    with pytest.raises(ValueError, match=r"must lie in \[0, 29\] .column indices of X., got 30"):
        model.similar_items([30])
    with pytest.raises(TypeError, match="must be integer item indices, got dtype float64"):
        model.similar_items([0.5])
    with pytest.raises(ValueError, match=r"\(n_users=50, n_explained\), got \(3, 2\)"):
        model.explain(X, np.zeros((3, 2), dtype=int))
    with pytest.raises(ValueError, match=r"must lie in \[0, 29\] .*got -2"):
        model.explain(X, [-2])


def test_cuda_without_a_gpu(X, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="use device='cpu'"):
        EASE(device="cuda").fit(X)


def test_torch_inverts_as_lapack_does(X):
    by_lapack = gram_upper(X) + 2 * np.eye(X.shape[1])
    by_torch = by_lapack.copy()
    invert_upper(by_lapack)
    _gram._invert_upper_torch(by_torch, "cpu")
    np.testing.assert_allclose(np.triu(by_torch), np.triu(by_lapack), atol=1e-12)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        _gram._invert_upper_torch(-np.eye(3), "cpu")


def test_cuda_equals_cpu(X):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU")
    for method in ("primal", "dual"):
        on_gpu = EASE(device="cuda", method=method).fit(X)
        expected = EASE(method=method).fit(X).predict(X)
        np.testing.assert_allclose(on_gpu.predict(X), expected, atol=1e-8)


@pytest.mark.parametrize("n_items", [1, 5, 129, 400])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_gram_and_mirror_against_dense(n_items, n_threads):
    X = sparse.random_array((60, n_items), density=0.2, rng=np.random.default_rng(0)).tocsr()
    expected = (X.T @ X).toarray()
    gram = gram_upper(X, n_threads)
    np.testing.assert_allclose(np.triu(gram), np.triu(expected), atol=1e-12)
    np.testing.assert_allclose(_gram._norm_1(gram), np.abs(expected).sum(axis=0).max())
    scale = np.arange(n_items) + 1.0
    mirror_upper(gram, scale, n_threads)
    np.testing.assert_allclose(gram, expected * scale, atol=1e-10)


def test_cpu_fit_imports_neither_torch_nor_frames_nor_plots():
    # scikit-learn 1.9 imports pandas, and that pyarrow, wherever they are installed.
    code = (
        "import sys; from skrec import EASE; EASE().fit([[1, 0], [1, 1]]).recommend([[1, 0]]); "
        "print({'torch', 'matplotlib', 'polars', 'skorch'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


def test_without_rows_the_model_is_its_weights_alone(X):
    model = EASE(2.0, method="primal").fit(X)
    slim = EASE(2.0, store_rows=False).fit(X)
    np.testing.assert_array_equal(slim.predict(X), model.predict(X))
    np.testing.assert_array_equal(slim.similar_items([3]), model.similar_items([3]))
    assert slim._rows is None
    assert slim._gram is None
    # 12 bytes an entry and 4 a row: nothing else is left out, and nothing of their size is left.
    saved = len(pickle.dumps(model)) - len(pickle.dumps(slim))
    assert saved > 12 * X.nnz
    assert len(pickle.dumps(slim)) < slim.coef_.nbytes + 2000
    wide = X[:5]
    assert EASE(2.0).fit(wide).method_ == "dual"
    assert EASE(2.0, store_rows=False).fit(wide).method_ == "primal"


def test_without_rows_there_is_no_partial_fit_and_no_dual(X):
    slim = EASE(2.0, store_rows=False).fit(X)
    assert not hasattr(slim, "partial_fit")
    assert hasattr(EASE(), "partial_fit")
    with pytest.raises(AttributeError, match="no attribute 'partial_fit'") as raised:
        slim.partial_fit(X)
    assert "skrec.update(model, old, new)" in str(raised.value.__cause__)
    slim.set_params(store_rows=True)
    with pytest.raises(ValueError, match="store_rows=False: fit again on all users"):
        slim.partial_fit(X)
    with pytest.raises(ValueError, match="method='dual' scores with the training rows"):
        EASE(method="dual", store_rows=False).fit(X)


def test_a_fit_without_rows_that_does_not_fit_says_what_would(X, monkeypatch):
    memory = SimpleNamespace(virtual_memory=lambda: SimpleNamespace(available=1000))
    monkeypatch.setattr(_memory, "psutil", memory)
    with pytest.raises(MemoryError, match="method='dual' with store_rows=True needs"):
        EASE(store_rows=False).fit(X[:5])


def test_partial_fit_behind_a_condition_is_documented_as_all_verbs_are():
    assert "sample_weight : array-like" in EASE.partial_fit.__doc__
    assert "sample_weight : array-like" in EASE().partial_fit.__doc__
