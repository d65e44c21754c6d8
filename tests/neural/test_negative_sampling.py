"""Negatives: their exact distribution, and losses against their formulas."""

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.stats import chisquare

from skrec.neural._batches import RowStore
from skrec.neural._negative_sampling import (
    NegativeSamplingStore,
    bpr_loss,
    draw_negatives,
    sampled_cross_entropy,
    sampled_outputs,
    sampled_squared_error,
)

CPU = torch.device("cpu")
N_DRAWS = 40_000


@pytest.fixture
def X():
    """User 0 has all items but one, user 1 has all, user 2 none; item 9 nobody but they have."""
    rng = np.random.default_rng(0)
    dense = (rng.random((12, 10)) < 0.3).astype(float)
    dense[:, 9] = 0
    dense[0], dense[0, 4], dense[1], dense[2] = 1, 0, 1, 0
    return sparse.csr_array(dense)


def store_of(X, n_negatives=3, power=0.0, seed=0):
    return NegativeSamplingStore(X, n_negatives, np.random.default_rng(seed), CPU, power)


@pytest.mark.parametrize("power", [0.0, 0.75])
@pytest.mark.parametrize("user", [0, 2, 3, 5])
def test_negatives_have_the_exact_distribution(X, power, user):
    drawn = store_of(X, 4, power).draw(np.full(N_DRAWS // 4, user))
    seen = np.bincount(drawn.ravel(), minlength=10)
    weights = (X != 0).sum(axis=0) ** power * (X[[user]].toarray()[0] == 0)
    may_be_drawn = weights > 0
    assert not seen[~may_be_drawn].any()
    expected = N_DRAWS * weights[may_be_drawn] / weights.sum()
    if len(expected) > 1:
        assert chisquare(seen[may_be_drawn], expected).pvalue > 1e-3


def test_an_item_that_is_hardly_ever_drawn_is_found_where_it_is_all_that_is_left():
    X = np.ones((300, 200))
    X[0, 7], X[2:, 7] = 0, 0  # of one user: its share is next to nothing
    store = store_of(sparse.csr_array(X), 5, power=3.0)
    assert (store.draw(np.zeros(20, dtype=int)) == 7).all()


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_a_pass_has_each_entry_once_and_never_a_positive_as_its_negative(X, power):
    store = store_of(X, power=power)
    order = np.random.default_rng(1).permutation(len(store))
    seen = np.zeros(X.shape)
    for batch in store.batches(7, order):
        assert batch.n_total == len(batch.users) <= 7
        assert batch.negatives.shape == (len(batch.users), 3)
        np.add.at(seen, (batch.users.numpy(), batch.positives.numpy()), 1)
        assert not X.toarray()[batch.users[:, None], batch.negatives].any()
    expected = X.toarray()
    expected[1] = 0  # has all items
    np.testing.assert_array_equal(seen, expected)
    assert len(store) == expected.sum()


def test_items_that_nobody_has_are_drawn_uniformly_or_never():
    X = sparse.csr_array([[1.0, 1, 0, 0], [1, 0, 0, 0]])
    assert set(store_of(X).draw(np.full(100, 0)).ravel()) == {2, 3}
    popular = store_of(X, power=0.5)
    assert len(popular) == 1  # user 0 has all that anybody has
    assert (popular.draw(np.array([1])) == 1).all()


def test_the_same_generator_draws_the_same_and_each_pass_anew(X):
    one, other = store_of(X), store_of(X)
    first, again = ([batch.negatives for batch in store.batches(9)] for store in (one, other))
    torch.testing.assert_close(first, again)
    (second,) = one.batches(len(one))
    assert not torch.equal(torch.cat(first), second.negatives)


def test_the_shares_of_processes_make_up_the_batches_of_one(X):
    order = np.random.default_rng(1).permutation(len(store_of(X)))
    whole = list(store_of(X).batches(8, order))
    shares = [list(store_of(X).batches(8, order, p, 3)) for p in range(3)]
    for number, batch in enumerate(whole):
        for process, share in enumerate(shares):
            part = share[number]
            assert part.n_total == batch.n_total
            for name in ("users", "positives", "negatives"):
                assert torch.equal(getattr(part, name), getattr(batch, name)[process::3])


def test_no_array_of_users_times_items_is_made():
    n = 2**21  # an array of bytes would have 4 TiB
    X = sparse.csr_array((np.ones(50), (np.arange(50) * 40_000, np.arange(50) * 40_000)), (n, n))
    for power in (0.0, 0.5):
        (batch,) = store_of(X, power=power).batches(50)
        assert (batch.positives[:, None] != batch.negatives).all()


def test_losses_are_their_formulas():
    generator = torch.Generator().manual_seed(0)
    positive = 3 * torch.randn(6, dtype=torch.float64, generator=generator)
    negative = 3 * torch.randn(6, 4, dtype=torch.float64, generator=generator)
    bpr, entropy = bpr_loss(positive, negative), sampled_cross_entropy(positive, negative)
    squares = sampled_squared_error(positive, negative)
    for row in range(6):
        p, ns = float(positive[row]), negative[row].tolist()
        assert float(bpr[row]) == pytest.approx(sum(np.log(1 + np.exp(n - p)) for n in ns))
        expected = np.log(1 + np.exp(-p)) + sum(np.log(1 + np.exp(n)) for n in ns)
        assert float(entropy[row]) == pytest.approx(expected)
        expected = ((1 - p) ** 2 + sum(n**2 for n in ns)) / 2
        assert float(squares[row]) == pytest.approx(expected)


@pytest.mark.parametrize("loss", [bpr_loss, sampled_cross_entropy])
def test_losses_have_right_gradients_and_stay_finite(loss):
    generator = torch.Generator().manual_seed(0)
    positive = torch.randn(5, dtype=torch.float64, generator=generator, requires_grad=True)
    negative = torch.randn(5, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (positive, negative))
    extreme = torch.tensor([-1e4, 1e4, 1e4], requires_grad=True)
    value = loss(extreme, torch.tensor([[1e4], [-1e4], [1e4]]))
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(extreme.grad).all()
    assert value[1] == 0


@pytest.mark.parametrize("power", [None, 0.75])
def test_negatives_of_a_batch_have_the_exact_distribution(X, power):
    batch = RowStore(X, CPU).cut([2, 5, 0, 3])  # not in order, one of them empty
    counts = (X != 0).sum(axis=0) ** (power or 0.0)
    cumulative = None if power is None else torch.from_numpy(counts.cumsum() / counts.sum())
    generator = torch.Generator().manual_seed(0)
    drawn = draw_negatives(batch, 4000, generator, cumulative).numpy()
    assert drawn.shape == (len(batch.items), 4000)
    for row, user in enumerate([2, 5, 0, 3]):
        weights = counts * (X[[user]].toarray()[0] == 0)
        found = drawn[batch.rows.numpy() == row]
        # User 0 has all but two items, one of which nobody has: most draws have to be repeated.
        seen = np.bincount(found[found >= 0], minlength=10)
        assert not seen[weights == 0].any()
        if len(found) and np.count_nonzero(weights) > 1:
            expected = seen.sum() * weights[weights > 0] / weights.sum()
            assert chisquare(seen[weights > 0], expected).pvalue > 1e-3


def test_a_row_of_all_items_has_no_negatives(X):
    batch = RowStore(X, CPU).cut([1])
    drawn = draw_negatives(batch, 3, torch.Generator().manual_seed(0))
    assert (drawn == -1).all()


def test_outputs_at_entries_and_negatives_are_those_of_the_layer(X):
    batch, generator = RowStore(X, CPU).cut(), torch.Generator().manual_seed(0)
    negatives = draw_negatives(batch, 3, generator)
    layer, hidden = torch.nn.utils.skip_init(torch.nn.Linear, 4, 10), torch.empty(12, 4)
    parts = [hidden, layer.weight, layer.bias]
    for part in parts:
        torch.nn.init.normal_(part, generator=generator).requires_grad_()
    positive, negative = sampled_outputs(hidden, layer, batch, negatives, missing=-7.0)
    dense = layer(hidden)
    expected = dense[batch.rows[:, None], negatives.clamp(min=0)]
    expected = torch.where(negatives < 0, -7.0, expected)
    assert (negatives < 0).any()
    torch.testing.assert_close(positive, dense[batch.rows, batch.items])
    torch.testing.assert_close(negative, expected)
    found = torch.autograd.grad(positive.sum() + negative.square().sum(), parts)
    wanted = torch.autograd.grad(
        dense[batch.rows, batch.items].sum() + expected.square().sum(), parts
    )
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)
