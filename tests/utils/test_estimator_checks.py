"""The checks notice a broken model, and run where they say something."""

import numpy as np
import pytest
import torch

from skrec import EASE, PMF, AutoRec, MultVAE, Popularity
from skrec._model_table import MODELS
from skrec.utils import estimator_checks as checks


class OrderOfUsers(Popularity):
    def _fit(self, X, sample_weight):
        super()._fit(X, np.arange(X.shape[0], dtype=float))


class OrderOfItems(EASE):
    def _score_rows(self, X):
        return super()._score_rows(X) * (1 + np.arange(X.shape[1]))


class NeighbouringItems(PMF):
    """Takes items of neighbouring numbers for alike, as those of a block are."""

    def _score_rows(self, X):
        scores = super()._score_rows(X)
        return scores + np.roll(scores, 1, axis=1) + np.roll(scores, -1, axis=1)


class AddsNothing(Popularity):
    def _add(self, X, sample_weight):
        pass


class Seeded(MultVAE):
    def __init__(self, n_components=4, *, max_iter=2, random_state=0, device="auto"):
        super().__init__(
            n_components,
            hidden_layer_sizes=(8,),
            max_iter=max_iter,
            early_stopping=False,
            random_state=random_state,
            device=device,
        )


class LearnsNothingMore(Seeded):
    def partial_fit(self, X):
        return self if hasattr(self, "n_iter_") else super().partial_fit(X)


class StartsAnew(Seeded):
    def partial_fit(self, X):
        del self.n_iter_
        return super().partial_fit(X)


class MakesTwoPasses(Seeded):
    def partial_fit(self, X):
        super().partial_fit(X)
        return super().partial_fit(X)


class NeverRepeats(Seeded):
    def _draw_seeds(self, n_updates):
        seeds = super()._draw_seeds(n_updates)
        noise = int(np.random.default_rng().integers(2**31))
        return seeds._replace(noise=noise) if n_updates else seeds


class SizeOfTheBlock(EASE):
    def _score_rows(self, X):
        return super()._score_rows(X) * (1 + (X.shape[0] < 50))


class HalfPrecision(EASE):
    def _score_rows(self, X):
        scores = super()._score_rows(X)
        return scores.astype(np.float16).astype(X.dtype) if X.dtype == np.float32 else scores


class GlobalNoise(Popularity):
    def _fit(self, X, sample_weight):
        super()._fit(X, sample_weight)
        np.random.rand()  # noqa: NPY002


class GlobalTorchNoise(Seeded):
    def _fit(self, X):
        super()._fit(X)
        torch.rand(1)


class NoTwoFitsAlike(Popularity):
    def _fit(self, X, sample_weight):
        super()._fit(X, np.random.default_rng().random(X.shape[0]))


class Remembers(Popularity):
    def _fit(self, X, sample_weight):
        self.n_fits = getattr(self, "n_fits", 0) + 1
        super()._fit(X, sample_weight)

    def _score_rows(self, X):
        return super()._score_rows(X) * self.n_fits


class LosesOnPickling(Popularity):
    def __setstate__(self, state):
        super().__setstate__(state)
        if "popularity_" in state:
            self.popularity_ = self.popularity_[::-1].copy()


class SumsNoDuplicates(EASE):
    def fit(self, X, y=None):
        if getattr(X, "format", None) == "coo":
            entries, X = X, np.zeros(X.shape)
            X[entries.coords] = entries.data
        return super().fit(X)


class DefaultDtype(Seeded):
    def _score_rows(self, X):
        return super()._score_rows(X) + (torch.get_default_dtype() != torch.float32)


class GradientsAreOn(Seeded):
    def _score_rows(self, X):
        return super()._score_rows(X) + (not torch.is_grad_enabled())


class CountsThreads(Seeded):
    def _fit(self, X):
        super()._fit(X)
        self.n_threads = torch.get_num_threads()

    def _score_rows(self, X):
        return super()._score_rows(X) * self.n_threads


class MostPopularFirst(Popularity):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.recommender_tags.personalized = True
        return tags


@pytest.mark.parametrize(
    "broken, check",
    [
        (OrderOfUsers(), checks.check_permutations_keep_what_is_learned),
        (OrderOfItems(), checks.check_permutations_keep_what_is_learned),
        (
            NeighbouringItems(4, l2=0.3, random_state=0),
            checks.check_permutations_keep_what_is_learned,
        ),
        (AddsNothing(), checks.check_partial_fit_adds),
        (LearnsNothingMore(), checks.check_partial_fit_makes_a_pass),
        (StartsAnew(), checks.check_partial_fit_makes_a_pass),
        (MakesTwoPasses(), checks.check_partial_fit_makes_a_pass),
        (NeverRepeats(), checks.check_partial_fit_makes_a_pass),
        (SizeOfTheBlock(), checks.check_threads_and_blocks),
        (HalfPrecision(), checks.check_float32),
        (GlobalNoise(), checks.check_same_seed_same_model),
        (GlobalTorchNoise(), checks.check_nothing_is_left_behind),
        (NoTwoFitsAlike(), checks.check_same_seed_same_model),
        (Remembers(), checks.check_refit_forgets),
        (LosesOnPickling(), checks.check_pickle),
        (SumsNoDuplicates(), checks.check_input_formats),
        (DefaultDtype(), checks.check_torch_state),
        (GradientsAreOn(), checks.check_torch_state),
        (CountsThreads(), checks.check_torch_threads),
        (MostPopularFirst(), checks.check_withheld_block_is_recovered),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_broken_model_is_found_out(broken, check):
    sound = type(broken).__mro__[1](**broken.get_params())
    if check in checks._applicable(checks.CHECKS, sound):
        check(sound)
    with pytest.raises(AssertionError):
        check(broken)


def test_checks_that_only_read_share_a_fit():
    fits = []

    class Counted(Popularity):
        def _fit(self, X, sample_weight):
            fits.append(X.shape)
            super()._fit(X, sample_weight)

    _put_in_this_module(Counted)
    for check in (
        checks.check_predict_shape_and_type,
        checks.check_rows_alone_decide,
        checks.check_recommend_sorts,
        checks.check_seen_items_are_left_out,
        checks.check_candidate_items,
        checks.check_score,
        checks.check_equal_rows_tie,
    ):
        check(Counted())
    assert fits == [(30, 12)]


def test_a_class_that_is_defined_anew_is_fitted_anew():
    answers = []
    for factor in (1, 2):

        class Redefined(Popularity):
            factor_ = factor

            def _fit(self, X, sample_weight):
                super()._fit(X, sample_weight)
                self.popularity_ = self.factor_ * self.popularity_

        _put_in_this_module(Redefined)
        model, X = checks._fitted(Redefined())
        answers.append(model.predict(X))
    np.testing.assert_array_equal(answers[1], 2 * answers[0])


def _put_in_this_module(cls):
    """Let pickle find a class."""
    cls.__qualname__ = cls.__name__
    globals()[cls.__name__] = cls


def cases(*args, **options):
    parametrized = checks.parametrize_with_recommender_checks(*args, **options)
    return {case.id: case for case in parametrized.args[1]}


def test_ids_are_short_and_variants_run_what_parameters_change():
    found = cases([EASE(2.0), EASE(3.0)], variants=[EASE(2.0, dropout=0.3)])
    assert {"EASE-check_pickle", "EASE(l2=3.0)-check_pickle"} < found.keys()
    assert {"EASE-check_error_messages", "EASE(l2=3.0)-check_error_messages"} < found.keys()
    assert "EASE(dropout=0.3)-check_pickle" in found
    assert "EASE(dropout=0.3)-check_error_messages" not in found
    named = cases({"plain": EASE()}, variants={"denoising": EASE(dropout=0.3)})
    assert {"plain-check_pickle", "denoising-check_pickle"} < named.keys()
    assert max(map(len, named)) < 60


def test_expected_failures_are_marked():
    expected = {"check_pickle": "for the test"}
    found = cases([EASE(), PMF()], expected_failed_checks=lambda estimator: expected)
    marked = {name for name, case in found.items() if case.marks}
    assert marked == {"EASE-check_pickle", "PMF-check_pickle"}
    assert found["PMF-check_pickle"].marks[0].kwargs == {"reason": "for the test"}


def test_checks_are_run_where_they_say_something():
    everything = {value for name, value in vars(checks).items() if name.startswith("check_")} - {
        checks.check_is_fitted,
        checks.check_recommender,
    }
    assert everything == set(checks.CHECKS)
    assert set(checks.CHECKS_OF_VARIANTS) < everything
    applied = {
        name: set(checks._applicable(checks.CHECKS, row.instance()))
        for name, row in MODELS.items()
    }
    assert set().union(*applied.values()) == everything
    assert everything - applied["Popularity"] == {
        checks.check_partial_fit_makes_a_pass,
        checks.check_withheld_block_is_recovered,
        checks.check_rating_scale,
        checks.check_clip,
        checks.check_rating_units,
        checks.check_return_std,
        checks.check_pairs_agree,
        checks.check_torch_state,
        checks.check_torch_threads,
        checks.check_new_items_depend_on_their_features,
        checks.check_new_items_find_their_users,
        checks.check_wrong_item_features,
        checks.check_wrong_reviews,
        checks.check_scant_reviews,
    }


@pytest.mark.parametrize(
    "model, has_way",
    [(MultVAE(likelihood="gaussian"), False), (MultVAE(), False), (AutoRec(), True)],
)
def test_pairs_are_compared_where_they_do_not_come_from_whole_rows(model, has_way):
    assert (checks.check_pairs_agree in checks._applicable(checks.CHECKS, model)) == has_way
