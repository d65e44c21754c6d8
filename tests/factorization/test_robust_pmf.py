"""RobustPMF: the bound and each update of it, written out; outliers, tails and deviations."""

import numpy as np
import pytest
from draws import check_coverage, check_means
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.stats import gamma, multivariate_normal, norm
from scipy.stats import t as student
from sklearn import config_context

from skrec import PMF, RobustPMF
from skrec.datasets import load_movielens_small
from skrec.factorization._noise_scales import Scales
from skrec.factorization._robust_answers import RatingPosterior
from skrec.factorization._robust_posterior import (
    EXTRA_VARIANCE,
    Prior,
    Weights,
    entry_scales,
    fold_in,
    unpack,
)
from skrec.factorization._robust_sweeps import (
    FIRST_PRIOR_PRECISION,
    N_FIRST_SWEEPS,
    Inference,
)
from skrec.model_selection import interaction_split

EVERY_SCALE = {"user_dof": "auto", "item_dof": 8.0, "rating_dof": "auto"}


def simulated(n_users=150, n_items=100, density=0.25, seed=0):
    """Latent values of a true model, and where they are observed."""
    rng = np.random.default_rng(seed)
    latent = 3 + rng.normal(size=(n_users, 2)) @ rng.normal(size=(2, n_items))
    latent += rng.normal(size=(n_users, 1)) / 2
    return latent, rng.random(latent.shape) < density, rng


def ratings(n_users=14, n_items=9, seed=0):
    """Centred ratings of deviation 1, in each row and each column at least one."""
    latent, _, rng = simulated(n_users, n_items, seed=seed)
    seen = rng.random(latent.shape) < 0.5
    seen[np.arange(n_users), np.arange(n_users) % n_items] = True
    noisy = latent + 0.4 * rng.standard_t(3, size=latent.shape)
    noisy[seen] -= noisy[seen].mean()
    return sparse.csr_array(np.where(seen, noisy / noisy[seen].std(), 0))


def inference(X, dofs=("auto", 8.0, "auto"), n_components=2):
    items = np.random.default_rng(1).normal(scale=0.3, size=(X.shape[1], n_components))
    return Inference(X, 0.0, items, dofs)


def moments(weights, fixed):
    """Means and covariances of the free elements of each row."""
    free = np.delete(np.arange(weights.means.shape[1]), fixed)
    products = unpack(weights.squares)[:, free[:, None], free]
    means = weights.means[:, free]
    return means, products - means[:, :, None] * means[:, None, :]


def expected_error(rating, user, user_covariance, item, item_covariance):
    """Of a rating around f.g + b + c, from moments of (f, b) and (g, c)."""
    f, b, F = user[:-1], user[-1], user_covariance
    g, c, G = item[:-1], item[-1], item_covariance
    with_one, item_with_one = np.append(f, 1), np.append(g, 1)
    return (
        (rating - f @ g - b - c) ** 2
        + item_with_one @ F @ item_with_one
        + with_one @ G @ with_one
        + np.trace(F[:-1, :-1] @ G[:-1, :-1])
    )


def bound_by_hand(state):
    """The bound of the log likelihood, term by term."""
    X = state.rows[0].tocoo()
    sides = [moments(*pair) for pair in zip(state.weights, state.fixed, strict=True)]
    total, numbers = 0.0, zip(*X.coords, X.data, strict=True)
    users, items, entries = state.scales
    for entry, (u, i, rating) in enumerate(numbers):
        error = expected_error(
            rating, sides[0][0][u], sides[0][1][u], sides[1][0][i], sides[1][1][i]
        )
        scale = users.means[u] * items.means[i] * entries.means[entry]
        logs = users.expected_logs[u] + items.expected_logs[i] + entries.expected_logs[entry]
        total += (np.log(state.precision / (2 * np.pi)) + logs) / 2
        total -= state.precision * scale * error / 2
    for (means, covariances), prior in zip(sides, state.priors, strict=True):
        for mean, covariance in zip(means, covariances, strict=True):
            total += _expected_log_prior(mean, covariance, prior)
            total += multivariate_normal(mean, covariance).entropy()
        # The density of the extra row, whose constants do not matter.
        size = len(prior.mean)
        total += _expected_log_prior(np.zeros(size), EXTRA_VARIANCE * np.eye(size), prior)
        total += size * np.log(2 * np.pi) / 2
    for scales in state.scales:
        if np.isinf(scales.dof):
            continue
        for shape, mean in zip(scales.shapes, scales.means, strict=True):
            posterior = gamma(shape, scale=mean / shape)
            prior = gamma(scales.dof / 2, scale=2 / scales.dof)
            total += posterior.entropy() + posterior.expect(prior.logpdf)
    return total


def _expected_log_prior(mean, covariance, prior):
    _, log_det = np.linalg.slogdet(prior.precision)
    deviation = mean - prior.mean
    square = deviation @ prior.precision @ deviation + np.trace(prior.precision @ covariance)
    return (log_det - len(mean) * np.log(2 * np.pi) - square) / 2


@pytest.mark.parametrize("dofs", [("auto", 8.0, "auto"), (None, None, None)])
def test_bound_is_that_of_the_formula(dofs):
    X = ratings(4, 3)
    state = inference(X, dofs)
    for _ in range(N_FIRST_SWEEPS + 1):
        bound = state.sweep()
    assert_allclose(bound * X.nnz, bound_by_hand(state), rtol=1e-7)
    assert_allclose(bound * X.nnz, bound_by_fast_parts(state), rtol=1e-7)


@pytest.mark.parametrize(
    "dofs",
    [("auto", "auto", None), (None, None, 4.0), (5.0, None, None), ("auto",) * 3],
)
def test_each_update_raises_the_bound(dofs):
    state = inference(ratings(), dofs)
    state.sweep()

    updates = [
        lambda: state.update_rows(0),
        lambda: state.update_prior(0),
        lambda: state.update_rows(1),
        lambda: state.update_prior(1),
        state.update_precision,
        state.update_dofs,
    ]
    before = bound_by_fast_parts(state)
    for _ in range(4):
        for update in updates:
            update()
            after = bound_by_fast_parts(state)
            assert after > before - 1e-9 * abs(before), update
            before = after


def bound_by_fast_parts(state):
    """The bound from whatever stands there, also between two updates of a sweep."""
    X = state.rows[0]
    users, items, entries = state.scales
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    left, right = (unpack(weights.squares) for weights in state.weights)
    crossed = np.einsum(
        "ej,ej->e", state.weights[0].means[rows], state.weights[1].means[X.indices]
    )
    squares = np.einsum("ejk,ejk->e", left[rows], right[X.indices])
    errors = X.data**2 - 2 * X.data * crossed + squares
    scales = users.means[rows] * items.means[X.indices] * entries.means
    total = X.nnz * np.log(state.precision / (2 * np.pi)) - state.precision * scales @ errors
    total += users.expected_logs[rows].sum() + items.expected_logs[X.indices].sum()
    total += entries.expected_logs.sum()
    for weights, prior, fixed in zip(state.weights, state.priors, state.fixed, strict=True):
        means, covariances = moments(weights, fixed)
        total += prior.bound(weights.squares, fixed) + means.size
        total += np.linalg.slogdet(covariances)[1].sum()
    return total / 2 + sum(scales.bound() for scales in state.scales)


def test_expected_errors_by_monte_carlo():
    rng = np.random.default_rng(0)
    X, state = ratings(), inference(ratings(), (None,) * 3)
    state.sweep()
    state.update_rows(1)
    drawn = []
    for side, fixed in enumerate(state.fixed):
        of_rows = [
            rng.multivariate_normal(*pair, size=4000)
            for pair in zip(*moments(state.weights[side], fixed), strict=True)
        ]
        drawn.append(np.insert(np.stack(of_rows), fixed, 1, axis=2))
    products = np.einsum("udk,idk->dui", *drawn)
    errors = np.where(X.toarray() != 0, (X.toarray() - products) ** 2, 0).sum(axis=1)
    check_means(errors, state._errors)


def gaussian_by_hand(X, items, n_sweeps):
    """Variational PMF with noise of one size, in loops over dense arrays."""
    seen, R = X.toarray() != 0, X.toarray()
    n_users, n_items = X.shape
    size = items.shape[1] + 1
    V = np.hstack([items, np.zeros((n_items, 1))])
    V_cov = np.tile(0.01 * np.eye(size), (n_items, 1, 1))
    priors = [(np.zeros(size), FIRST_PRIOR_PRECISION * np.eye(size))] * 2
    precision = 2.0

    def solve(R, seen, others, other_cov, prior):
        means, covariances = [], []
        for row, mask in zip(R, seen, strict=True):
            left, right = prior[1].copy(), prior[1] @ prior[0]
            for j in np.flatnonzero(mask):
                inputs = np.append(others[j, :-1], 1)
                spread = other_cov[j].copy()
                spread[-1], spread[:, -1] = 0, 0
                left += precision * (np.outer(inputs, inputs) + spread)
                right += precision * inputs * (row[j] - others[j, -1])
                right[:-1] -= precision * other_cov[j, :-1, -1]
            covariances.append(np.linalg.inv(left))
            means.append(covariances[-1] @ right)
        return np.array(means), np.array(covariances)

    def prior_of(means, covariances):
        n = len(means) + 1
        mean = means.sum(axis=0) / n
        total = EXTRA_VARIANCE * np.eye(size) + np.outer(mean, mean) + covariances.sum(axis=0)
        for row in means:
            total += np.outer(row - mean, row - mean)
        return mean, np.linalg.inv(total / n)

    for number in range(n_sweeps):
        U, U_cov = solve(R, seen, V, V_cov, priors[0])
        if number >= N_FIRST_SWEEPS:
            priors[0] = prior_of(U, U_cov)
        V, V_cov = solve(R.T, seen.T, U, U_cov, priors[1])
        if number >= N_FIRST_SWEEPS:
            priors[1] = prior_of(V, V_cov)
        total = sum(
            expected_error(R[u, i], U[u], U_cov[u], V[i], V_cov[i])
            for u, i in zip(*np.nonzero(seen), strict=True)
        )
        precision = seen.sum() / total
    return U, V, precision


@pytest.mark.parametrize("dof", [None, 1e9])
def test_the_limit_of_many_degrees_of_freedom_is_variational_pmf(dof):
    X = ratings()
    state = inference(X, (dof,) * 3)
    for _ in range(N_FIRST_SWEEPS + 2):
        state.sweep()
    items = np.random.default_rng(1).normal(scale=0.3, size=(X.shape[1], 2))
    U, V, precision = gaussian_by_hand(X, items, N_FIRST_SWEEPS + 2)
    assert_allclose(moments(state.weights[0], state.fixed[0])[0], U, atol=1e-6)
    assert_allclose(moments(state.weights[1], state.fixed[1])[0], V, atol=1e-6)
    assert_allclose(state.precision, precision, rtol=1e-6)


@pytest.mark.parametrize("rating_dof", [None, 4.0])
def test_a_user_is_the_fixed_point_of_the_updates(rating_dof):
    X, state = ratings(), inference(ratings(), (5.0, 8.0, rating_dof))
    for _ in range(4):
        state.sweep()
    given = state.given(0)
    weights, scales = fold_in(X, given)
    means, covariances = moments(weights, given.fixed)
    items, item_covariances = moments(state.weights[1], state.fixed[1])
    for user in range(X.shape[0]):
        rated, values = X[[user]].indices, X[[user]].data
        errors = np.array(
            [
                expected_error(r, means[user], covariances[user], items[i], item_covariances[i])
                for i, r in zip(rated, values, strict=True)
            ]
        )
        of_items = given.precision * given.other_scales[rated]
        own = np.ones(len(rated))
        if rating_dof is not None:
            # At the fixed point the ratings' scales follow from the errors, too.
            own = (rating_dof + 1) / (rating_dof + scales.means[user] * of_items * errors)
        scale = (5 + len(rated)) / (5 + of_items * own @ errors)
        assert_allclose(scales.means[user], scale, rtol=1e-6)
        precision, right = given.prior.precision.copy(), given.prior.precision @ given.prior.mean
        for i, r, weight in zip(rated, values, scale * of_items * own, strict=True):
            inputs, spread = np.append(items[i, :-1], 1), item_covariances[i].copy()
            spread[-1], spread[:, -1] = 0, 0
            precision += weight * (np.outer(inputs, inputs) + spread)
            right += weight * (
                inputs * (r - items[i, -1]) - np.append(item_covariances[i, :-1, -1], 0)
            )
        assert_allclose(means[user], np.linalg.solve(precision, right), atol=1e-6)
        assert_allclose(covariances[user], np.linalg.inv(precision), atol=1e-6)


def test_training_ends_where_rows_are_folded_in():
    X, state = ratings(), inference(ratings(), (5.0, 8.0, 4.0))
    for _ in range(150):
        state.sweep()
    weights, scales = fold_in(X, state.given(0))
    assert_allclose(state.weights[0].means, weights.means, atol=1e-3)
    assert_allclose(state.scales[0].means, scales.means, rtol=1e-3)
    # From the other side the ratings have the same scales.
    given = state.given(1)
    of_items = entry_scales(state.rows[1], given, state.weights[1], state.scales[1].means)
    assert_allclose(state.scales[2].means[state._order], of_items, rtol=1e-3)
    assert state.scales[2].means.min() < 0.7


def test_rows_do_not_depend_on_each_other():
    X, state = ratings(40), inference(ratings(40), (5.0, 8.0, 4.0))
    state.sweep()
    together = fold_in(X, state.given(0))
    for user in (0, 7, 33):
        alone = fold_in(X[[user]], state.given(0))
        assert_allclose(alone[0].means[0], together[0].means[user], rtol=1e-12)
        assert_allclose(alone[1].means[0], together[1].means[user], rtol=1e-12)


def test_degrees_of_freedom_that_are_learned_fit_best():
    rng = np.random.default_rng(0)
    true = rng.gamma(3, 1 / 3, size=300)  # 6 degrees of freedom
    found = Scales(10.0, np.full(300, 200.0), true).learned()
    for dof in (0.97, 1.03):
        assert found._replace(dof=dof * found.dof).bound() < found.bound()
    assert abs(found.dof / 6 - 1) < 0.3
    assert Scales(10.0, np.full(5, 1e9), np.ones(5)).learned().dof == 1000
    assert Scales(10.0, np.full(2, 9.0), np.array([0.01, 1.99])).learned().dof == 3


def test_a_prior_that_is_learned_fits_best():
    rng = np.random.default_rng(0)
    means, roots = rng.normal(1, 2, size=(30, 2)), rng.normal(size=(30, 2, 2))
    squares = Weights.of(means, roots @ roots.transpose(0, 2, 1), 1).squares
    prior = Prior.learned(squares, 1)
    for change in rng.normal(scale=0.01, size=(20, 3, 2)):
        other = Prior(prior.mean + change[0], prior.precision + change[1:] + change[1:].T)
        assert other.bound(squares, 1) < prior.bound(squares, 1)


def heavy_tailed(seed=0):
    """Ratings with Student-t noise, and further ones of the same users."""
    latent, seen, rng = simulated(seed=seed)
    noisy = latent + 0.4 * rng.standard_t(2.5, size=latent.shape)
    return sparse.csr_array(noisy * seen), noisy, ~seen


def test_held_out_likelihood_on_heavy_tails_is_above_that_of_pmf():
    X, noisy, is_new = heavy_tailed()
    mean, std = PMF(2, clip=False, random_state=0).fit(X).predict(X, return_std=True)
    gaussian = norm.logpdf(noisy, mean, std)[is_new].mean()
    found = {}
    for rating_dof in ("auto", 4):
        model = RobustPMF(2, rating_dof=rating_dof, clip=False, random_state=0).fit(X)
        mean, std = model.predict(X, return_std=True)
        nu = model.rating_dof_
        scale = std * np.sqrt((nu - 2) / nu)
        found[rating_dof] = student.logpdf(noisy, nu, mean, scale)[is_new].mean()
    assert min(found.values()) > gaussian + 0.1
    assert model.rating_dof_ == 4


def test_held_out_likelihood_with_noisy_users_is_above_that_of_pmf():
    latent, seen, rng = simulated()
    spread = 0.4 / np.sqrt(rng.gamma(2, 1 / 2, size=(len(latent), 1)))
    noisy = latent + spread * rng.normal(size=latent.shape)
    X, found = sparse.csr_array(noisy * seen), []
    for model in (RobustPMF(2, random_state=0, clip=False), PMF(2, random_state=0, clip=False)):
        mean, std = model.fit(X).predict(X, return_std=True)
        found.append(norm.logpdf(noisy, mean, std)[~seen].mean())
        if isinstance(model, RobustPMF):
            check_coverage((noisy - mean) / std, ~seen)
            assert np.corrcoef(np.log(std.mean(axis=1)), np.log(spread[:, 0]))[0, 1] > 0.9
    assert found[0] > found[1] + 0.05


@pytest.mark.parametrize("dofs", [{}, {"rating_dof": 4}])
@pytest.mark.parametrize("data", ["simulated", "real"])
def test_an_outlier_moves_factors_less_than_those_of_pmf(data, dofs):
    if data == "real":
        X = load_movielens_small().filter(min_items_per_user=40, min_users_per_item=40).X
        X = sparse.csr_array(X, dtype=np.float64)
    else:
        latent, seen, rng = simulated()
        X = sparse.csr_array((latent + 0.3 * rng.normal(size=latent.shape)) * seen)
    spoiled = X.copy()
    entry = X.indptr[5]
    spoiled.data[entry] += 50
    item, moved = X.indices[entry], []
    options = {"random_state": 0, "clip": False, "max_iter": 15}
    for model in (RobustPMF(2, **dofs, **options), PMF(2, **options)):
        # What the factors say: the item's ratings by the other users.
        clean = model.fit(X).predict(X)
        change = model.fit(spoiled).predict(X) - clean
        moved.append((np.abs(change[6:, item]).mean(), np.abs(change[6:]).mean()))
    assert moved[0][0] < 0.5 * moved[1][0]
    assert moved[0][1] < moved[1][1]


def test_deviations_are_those_of_the_moments():
    X = sparse.csr_array(ratings(30, 12).toarray() + 0.0)
    model = RobustPMF(2, **EVERY_SCALE, clip=False, random_state=0).fit(X)
    mean, std = model.predict(X, return_std=True)
    assert_allclose(mean, model.predict(X))
    given, unit = model._posterior.given, model.rating_unit_
    weights, scales = model._posterior.infer(X / unit)
    users, items = moments(weights, given.fixed), moments(given.others, given.fixed - 1)
    for user, item in [(0, 0), (3, 5), (29, 11)]:
        variance = expected_error(
            users[0][user, :-1] @ items[0][item, :-1] + users[0][user, -1] + items[0][item, -1],
            *(part[user] for part in users),
            *(part[item] for part in items),
        )
        noise = scales[user] * model.item_noise_variances_[item]
        assert_allclose(std[user, item], np.sqrt(unit**2 * variance + noise))
    pairs = np.array([0, 3, 29, 0, 3]), np.array([0, 5, 11, 7, 5])
    found = model._rate_pairs(model._pair_states(X), *pairs, return_std=True)
    assert_allclose(found, [mean[pairs], std[pairs]], rtol=1e-9)


def test_expected_variances_of_scales():
    scales = Scales(6.0, np.array([3.0, 8.0]), np.array([1.0, 0.5]))
    draws = [gamma(s, scale=m / s).expect(lambda x: 1 / x) for s, m in [(3, 1), (8, 0.5)]]
    assert_allclose(scales.expected_variances, draws, rtol=1e-6)
    assert_allclose(Scales.of_prior(6.0, 1).expected_variances, 6 / 4)


def test_intervals_of_movielens_are_calibrated():
    rated = load_movielens_small().filter(min_items_per_user=5, min_users_per_item=10)
    train, test = interaction_split(rated.X, 0.1, random_state=0)
    mean, std = RobustPMF(8, random_state=0).fit(train).predict(train, return_std=True)
    rows, columns = test.tocoo().coords
    errors = np.abs(test.data - mean[rows, columns]) / std[rows, columns]
    assert 0.87 < (errors < 1.6449).mean() < 0.93


def test_noise_of_unrated_items_and_of_new_users_is_that_of_the_prior():
    X = ratings(20, 8).toarray()
    X[:, 3] = 0
    model = RobustPMF(2, user_dof=5, item_dof=6, rating_dof=4, clip=False, random_state=0).fit(X)
    given, unit = model._posterior.given, model.rating_unit_
    # Gamma priors of nu degrees of freedom have nu / (nu - 2) as the mean of the inverse.
    noise = unit**2 / given.precision * (6 / 4) * (4 / 2)
    assert_allclose(model.item_noise_variances_[3], noise)
    user = np.append(given.prior.mean, 1)
    rating, std = model.predict(np.zeros((1, 8)), return_std=True)
    assert_allclose(rating[0], model.mean_ + unit * given.others.means @ user)
    assert (std[0] > np.sqrt(5 / 3 * model.item_noise_variances_)).all()


def test_items_that_nobody_has_rated_have_their_prior():
    X = ratings(20, 8).toarray()
    X[:, 3] = 0
    state = inference(sparse.csr_array(X), (None, 6.0, None))
    for _ in range(N_FIRST_SWEEPS + 1):
        state.sweep()
    posterior = RatingPosterior.of(state, 8, 0.0)
    means, covariances = moments(posterior.items, state.fixed[1])
    assert_allclose(means[3], state.priors[1].mean)
    assert_allclose(covariances[3] @ state.priors[1].precision, np.eye(3), atol=1e-9)
    rated = np.delete(np.arange(8), 3)
    assert_allclose(posterior.items.means[rated], state.weights[1].means)
    assert_allclose(posterior.given.other_scales[rated], state.scales[1].means)


def test_without_ratings_there_is_the_prior():
    model = RobustPMF(2, rating_dof=4, random_state=0).fit(np.zeros((3, 4)))
    mean, std = model.predict(np.zeros((2, 4)), return_std=True)
    assert_allclose(mean, 0, atol=1e-12)
    assert (std > 0.5).all()


def test_one_rating_and_constant_ratings():
    one = np.zeros((3, 4))
    one[1, 2] = 4
    for X in (one, 4 * (ratings(10, 6).toarray() != 0)):
        model = RobustPMF(2, random_state=0).fit(X)
        predicted, std = model.predict(X, return_std=True)
        assert_allclose(predicted, 4)
        assert np.isfinite(std).all()
        assert (std > 0).all()


@pytest.mark.parametrize("name", ["user_dof", "item_dof", "rating_dof"])
@pytest.mark.parametrize("value", [2, "learned", np.nan])
def test_degrees_of_freedom_without_a_variance_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        RobustPMF(**{name: value}).fit(np.eye(3))


def test_threads_and_blocks_do_not_matter():
    X = ratings(60, 20)
    first = RobustPMF(2, **EVERY_SCALE, n_jobs=1, random_state=0).fit(X)
    with config_context(working_memory=0.02):
        second = RobustPMF(2, **EVERY_SCALE, n_jobs=2, random_state=0).fit(X)
        assert_allclose(second.predict(X), first.predict(X), rtol=1e-9)
    assert_allclose(second.loss_curve_, first.loss_curve_)
    assert np.all(np.diff(first.loss_curve_) < 1e-12)


def test_verbose(capsys):
    RobustPMF(2, random_state=0).fit(ratings())
    assert capsys.readouterr() == ("", "")
    RobustPMF(2, random_state=0, verbose=1).fit(ratings())
    assert "objective=" in capsys.readouterr().err
