"""`skrec evaluate`: which models are compared, on what, and what is printed."""

import re
import shlex
import sys

import numpy as np
import pytest
from command_line import assert_refused, read_rows, run, run_json
from sklearn.model_selection import KFold

from skrec import EASE, PMF, AutoRec, MultDAE, Popularity
from skrec._cli import _comparing, _trials
from skrec._cli._models import applicable, settings_of
from skrec._cli._tasks import scale_of
from skrec._model_table import MODELS
from skrec.datasets import load_movielens_small
from skrec.metrics import ranking_scorer, rating_scorer
from skrec.model_selection import TimeSplit, compare_recommenders

TIMES = ("fit_time", "score_time")
QUICK = ("--model", "Popularity", "--model", "EASE")


def as_rows(comparison):
    rows = zip(*(column.tolist() for column in comparison.values()), strict=True)
    return [dict(zip(comparison, row, strict=True)) for row in rows]


def assert_same_rows(found, expected):
    for row, wanted in zip(found, as_rows(expected), strict=True):
        assert row.keys() == wanted.keys()
        for name in set(row) - set(TIMES):
            value = np.nan if row[name] is None else row[name]
            if isinstance(value, str):
                assert value == wanted[name]
            else:
                assert value == pytest.approx(wanted[name], nan_ok=True)


def test_evaluate_is_compare_recommenders(write, ratings):
    liked = ratings.binarize(2.99).filter(min_items_per_user=6).filter(min_users_per_item=1)
    scoring = ranking_scorer(["ndcg@10", "coverage@5"])
    models = {"Popularity": Popularity(), "EASE": EASE(l2=20)}
    expected = compare_recommenders(models, liked.X, cv=4, scoring=scoring)
    options = ["--min-rating", 3, "--min-items-per-user", 6, "--folds", 4]
    options += ["--metric", "ndcg@10", "--metric", "coverage@5", "--param", "EASE.l2=20"]
    answer = run_json("evaluate", write(), *options, *QUICK)
    sizes = answer["data"]["choices"]
    assert (sizes["n_users"], sizes["n_items"]) == liked.shape
    assert sizes["n_interactions"] == liked.nnz and sizes["n_folds"] == 4
    for row in answer["comparison"]:
        row["model"] = row["model"].removesuffix("(l2=20)")
    assert_same_rows(answer["comparison"], expected)


def test_ratings_are_compared_in_their_own_units(write, ratings):
    models = {"BiasBaseline": MODELS["BiasBaseline"].load()(), "PMF": PMF(random_state=0)}
    expected = compare_recommenders(models, ratings.X, scoring=rating_scorer(["neg_rmse"]))
    options = ["--model", "biasbaseline", "--model", "pmf"]
    answer = run_json("evaluate", write(), *options)
    assert_same_rows(answer["comparison"], expected)
    assert "choices" not in answer["best"]
    text = run("evaluate", write(), *options).stdout
    best = -expected["mean"][0]
    assert re.search(rf"^{expected['model'][0]} .* {best:.4f} ", text, re.MULTILINE)
    assert " rmse " in text and "neg_" not in text


def stub(monkeypatch, refused=()):
    """Fit nothing, but remember which models were to be fitted."""
    asked = []

    def run_trial(setting, fold, scoring):
        asked.append(setting.name)
        if setting.row.name in refused:
            raise _trials.Refused("it cannot")
        values = np.full(fold.test.shape[0], 1 / len(asked))
        scores = {name: -values[0] for name in scoring.metrics}
        return _trials.Trial(scores, dict.fromkeys(scores, -values), 0.0, 0.0)

    monkeypatch.setattr(_comparing, "run_trial", run_trial)
    return asked


def names_that_read(*kinds):
    return {row.name for row in MODELS.values() if row.reads in kinds}


def test_all_models_that_apply(write, rows, monkeypatch):
    asked = stub(monkeypatch)
    answer = run_json("evaluate", write(), "--folds", 2)
    assert set(asked) == names_that_read("choices", "ratings")
    assert "used by the models that predict them" in answer["ratings"]
    assert set(answer["best"]) == {"choices", "ratings"}
    asked.clear()
    answer = run_json("evaluate", write(), "--folds", 2, "--min-rating", 3)
    assert set(asked) == names_that_read("choices")
    assert "those of 3 or more count as choices" in answer["ratings"]
    asked.clear()
    answer = run_json("evaluate", write(), "--folds", 2, "--metric", "rmse")
    assert set(asked) == names_that_read("ratings")
    assert answer["ratings"] == "Ratings, from 0.5 to 5: predicted, in their own units."
    asked.clear()
    two_columns = write(rows=[row[:2] for row in rows], header=("user", "item"))
    answer = run_json("evaluate", two_columns, "--folds", 2)
    assert set(asked) == names_that_read("choices")
    assert answer["ratings"] == "Every row counts as a choice."
    asked.clear()
    counts = [(user, item, 1 + item % 5 // 3 * user) for user, item, *_ in rows]
    answer = run_json("evaluate", write(rows=counts, header=("u", "i", "plays")), "--folds", 2)
    assert set(asked) == names_that_read("choices")
    assert "look like counts: not used" in answer["ratings"]


def test_cheap_kinds_come_first():
    names = [row.name for row in applicable({"choices", "ratings"})]
    assert names[:3] == ["Popularity", "BiasBaseline", "EASE"]
    kinds = ["linear", "neighbors", "factorization", "autoencoders", "networks"]
    places = [next(i for i, n in enumerate(names[2:]) if MODELS[n].room == k) for k in kinds]
    assert places == sorted(places)


def test_stars_and_counts_are_told_apart(ratings):
    assert scale_of(load_movielens_small()) == "stars"
    assert scale_of(ratings.binarize(0)) is None
    assert scale_of(ratings) == "stars"


def test_small_data_get_fast_settings():
    (small,) = settings_of([MODELS["MultDAE"]], [], 100_000)
    assert small.make().max_iter == 40 and small.options() == ["--model", "MultDAE"]
    (large,) = settings_of([MODELS["MultDAE"]], [], 1_000_000)
    assert large.make().max_iter == MultDAE().max_iter
    (given,) = settings_of([MODELS["MultDAE"]], ["max_iter=7"], 100_000)
    assert given.make().max_iter == 7 and given.name == "MultDAE(max_iter=7)"
    assert given.make().random_state == 0
    (drawn,) = settings_of([MODELS["AutoRec"]], ["random_state=None"], 100_000)
    assert drawn.make().random_state is None


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        ("hidden_layer_sizes=(16, 8)", (16, 8)),
        ("likelihood=gaussian", "gaussian"),
        ("likelihood='gaussian'", "gaussian"),
        ("early_stopping=False", False),
        ("learning_rate=1e-3", 0.001),
        ("callbacks=None", None),
        ("MultVAE.beta=0.5", 0.5),
        ("multvae.beta=0.5", 0.5),
        ("likelihood=[not, a, list", "[not, a, list"),
    ],
)
def test_values_of_parameters(param, expected):
    (setting,) = settings_of([MODELS["MultVAE"]], [param], 10)
    (value,) = setting.changes.values()
    assert value == expected and type(value) is type(expected)
    words = setting.options()
    (again,) = settings_of([MODELS["MultVAE"]], words[3:], 10)
    assert again.changes == setting.changes


def test_the_final_command_recommends_with_the_best_model(write, ratings):
    path = write("my ratings.tsv", header=None)
    options = ["--no-header", "--rating", "3", "--min-rating", 3]
    options += ["--separator", "tab", "--model", "EASE"]
    options += ["--param", "EASE.l2=7.5", "--param", "EASE.method=dual"]
    result = run("evaluate", path, *options)
    assert result.exit_code == 0
    last = result.stdout.splitlines()[-1]
    said, _, command = last.partition(": ")
    assert said == "Best for recommending is EASE(l2=7.5, method='dual')"
    program, *words = shlex.split(command)
    assert program == "skrec" and words[:2] == ["recommend", str(path)]
    found = read_rows(run(*words, "--k", 3).stdout)
    liked = ratings.binarize(2.99).filter(min_users_per_item=1)
    model = EASE(l2=7.5, method="dual").fit(liked.X)
    first = liked.X[[0]]
    unrated = np.isin(liked.item_ids, ratings.item_ids[ratings.X[[0]].indices], invert=True)
    expected = liked.item_ids[model.recommend(first, 3, items=unrated)[0]]
    assert [int(row["item"]) for row in found[:3]] == expected.tolist()


def test_the_command_for_ratings_takes_the_ratings(write):
    result = run("evaluate", write(), "--model", "BiasBaseline", "--model", "EASE")
    *_, of_ratings, of_lists = result.stdout.splitlines()
    assert of_ratings.startswith("Best for predicting ratings is BiasBaseline: skrec recommend ")
    assert of_lists.startswith("Best for recommending is EASE: skrec recommend ")
    assert run(*shlex.split(of_ratings.partition(": ")[2])[1:]).exit_code == 0


def test_what_a_model_refuses_is_a_line_and_the_others_go_on(write, monkeypatch):
    def fit(self, X, y=None, **options):
        raise MemoryError("EASE needs 99 GiB")

    monkeypatch.setattr(EASE, "fit", fit)
    options = [*QUICK, "--metric", "ndcg@10"]
    answer = run_json("evaluate", write(), *options)
    assert answer["left_out"] == {"EASE": "EASE needs 99 GiB"}
    assert [row["model"] for row in answer["comparison"]] == ["Popularity"]
    assert "Left out: EASE: EASE needs 99 GiB\n" in run("evaluate", write(), *options).stdout
    result = run("evaluate", write(), "--model", "EASE")
    assert_refused(result, "EASE: EASE needs 99 GiB")


def test_a_model_that_fails_in_a_later_fold_is_left_out(write, monkeypatch):
    fits = []

    def run_trial(setting, fold, scoring):
        fits.append(setting.name)
        if setting.name == "EASE" and fits.count("EASE") == 3:
            raise _trials.Refused("no third time")
        return _trials.run_trial(setting, fold, scoring)

    monkeypatch.setattr(_comparing, "run_trial", run_trial)
    answer = run_json("evaluate", write(), *QUICK)
    assert answer["left_out"] == {"EASE": "no third time"}
    assert answer["data"]["choices"]["n_folds"] == 5 and fits.count("EASE") == 3


def test_programming_errors_are_not_hidden(write, monkeypatch):
    def fit(self, X, y=None):
        raise RuntimeError("a bug")

    monkeypatch.setattr(EASE, "fit", fit)
    with pytest.raises(RuntimeError, match="a bug"):
        run("evaluate", write(), *QUICK)


def test_prints_the_same_numbers(write):
    path = write()
    options = ["--metric", "ndcg@10", "--metric", "recall@5", "--min-rating", 1, *QUICK]
    answer = run_json("evaluate", path, *options)
    result = run("evaluate", path, *options)
    assert result.exit_code == 0 and result.stderr == ""
    assert "40 users, 25 items" in result.stdout
    for row in answer["comparison"]:
        (line,) = re.findall(rf"^{row['model']} .*", result.stdout, re.MULTILINE)
        assert f" {row['mean']:.4f}" in line
        if row["metric"] == "ndcg@10":
            assert f"{row['mean']:.4f} \N{PLUS-MINUS SIGN} {row['standard_error']:.4f}" in line
    assert max(len(line) for line in result.stdout.splitlines() if "skrec" not in line) < 100


def test_finds_structure(write):
    rows = run_json("evaluate", write(), "--metric", "ndcg@10", *QUICK)["comparison"]
    means = {row["model"]: row["mean"] for row in rows}
    assert means["EASE"] > means["Popularity"]


def test_one_fold_is_a_fifth(write, ratings):
    train, test = next(KFold(5, shuffle=True, random_state=0).split(ratings.X))
    scoring = ranking_scorer(["ndcg@10"])
    X = ratings.binarize(0).X
    expected = compare_recommenders({"EASE": EASE()}, X, cv=[(train, test)], scoring=scoring)
    options = ["--metric", "ndcg@10", "--model", "EASE", "--folds", 1]
    assert_same_rows(run_json("evaluate", write(), *options)["comparison"], expected)


def test_time_split_is_that_of_compare_recommenders(write, ratings):
    scoring = ranking_scorer(["ndcg@10"])
    models = {"Popularity": Popularity(), "EASE": EASE()}
    options = ["--time-split", "--min-items-per-user", 2, "--metric", "ndcg@10", *QUICK]
    for n_splits in (1, 3):
        split = TimeSplit(n_splits=n_splits, test_size=0.2, min_items=1)
        expected = compare_recommenders(models, ratings.binarize(0), cv=split, scoring=scoring)
        answer = run_json("evaluate", write(), *options, "--folds", n_splits)
        assert_same_rows(answer["comparison"], expected)
    default = run_json("evaluate", write(), *options)
    assert default["data"]["choices"]["n_folds"] == 1


def test_time_split_needs_users_who_come_back(write):
    rows = [(user, item, 5, user) for user in range(20) for item in range(3)]
    path = write(rows=rows, header=("user", "item", "rating", "timestamp"))
    options = ["--time-split", "--min-items-per-user", 2]
    assert_refused(run("evaluate", path, *options), "--time-split", "entries before")


def test_time_split_needs_timestamps(write, rows):
    path = write(rows=[row[:2] for row in rows], header=("user", "item"))
    assert_refused(run("evaluate", path, "--time-split"), "--time-split", "--timestamp")


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")  # in older matplotlib
def test_plot(write, tmp_path):
    options = ["--model", "EASE", "--model", "BiasBaseline", "--plot"]
    for name in ("models.png", "models.svg"):
        assert run("evaluate", write(), *options, tmp_path / name).exit_code == 0
    assert (tmp_path / "models.png").read_bytes().startswith(b"\x89PNG")
    assert "svg" in (tmp_path / "models.svg").read_text()[:500]


def test_plot_without_matplotlib(write, monkeypatch):
    for name in ("matplotlib", "matplotlib.backend_bases"):
        monkeypatch.setitem(sys.modules, name, None)
    result = run("evaluate", write(), "--plot", "models.png")
    assert_refused(result, 'pip install "scikit-recommend[plot]"')


def test_reviews_bring_the_text_models(write, rows, monkeypatch):
    asked = stub(monkeypatch)
    texts = [(user, item, stars, f"tea {item}") for user, item, stars, _ in rows]
    path = write(rows=texts, header=("user", "item", "rating", "review"))
    assert run("evaluate", path, "--folds", 2).exit_code == 0
    assert set(asked) == set(MODELS)


class Ticking(_trials.Clock):
    """A clock that goes on by a second each time somebody looks."""

    def __init__(self, seconds):
        self.seconds = seconds

    def left(self):
        self.seconds -= 1
        return max(0.0, self.seconds)

    def part(self, share):
        return self


def test_folds_and_models_within_the_budget(write, monkeypatch):
    monkeypatch.setattr(_trials, "Clock", Ticking)
    stub(monkeypatch)
    models = [word for name in ("Popularity", "EASE", "RP3beta") for word in ("--model", name)]
    answer = run_json("evaluate", write(), *models, "--budget", 2)
    assert list(answer["left_out"]) == ["RP3beta"]
    assert "no time was left; a larger --budget" in answer["left_out"]["RP3beta"]
    text = run("evaluate", write(), *models, "--budget", 100).stdout
    assert "in 5 folds" in text


def test_a_model_that_would_take_too_long_is_told_by_few_users(ratings, monkeypatch):
    monkeypatch.setattr(_comparing, "N_PROBED", 5)
    monkeypatch.setattr(_comparing, "N_PROBED_TEST", 2)
    X = ratings.binarize(0)
    fold = _trials.Fold(X[:30], X[30:])

    def run_trial(setting, fold, scoring):
        assert fold.train.shape[0] == 5 and fold.test.shape[0] == 2
        return _trials.Trial({}, {}, 2.0, 1.0)

    monkeypatch.setattr(_comparing, "run_trial", run_trial)
    (setting,) = settings_of([MODELS["EASE"]], [], 100)
    reason = _comparing._too_long(setting, fold, None, _trials.Clock(16))
    assert "about 17 s" in reason and "--budget" in reason
    assert _comparing._too_long(setting, fold, None, _trials.Clock(20)) is None


def interrupt_after(monkeypatch, module, n_trials):
    done = []

    def run_trial(setting, fold, scoring):
        if len(done) == n_trials:
            raise KeyboardInterrupt
        done.append(setting.name)
        return _trials.run_trial(setting, fold, scoring)

    monkeypatch.setattr(module, "run_trial", run_trial)


def test_ctrl_c_shows_what_there_is(write, monkeypatch):
    options = ["--metric", "ndcg@10", *QUICK, "--model", "RP3beta"]
    interrupt_after(monkeypatch, _comparing, 2)
    result = run("evaluate", write(), *options)
    assert result.exit_code == 0 and "Stopped by Ctrl-C" in result.stdout
    assert "in 1 of 5 folds" in result.stdout and "\nRP3beta" not in result.stdout
    interrupt_after(monkeypatch, _comparing, 7)
    answer = run_json("evaluate", write(), *options)
    assert answer["interrupted"] and answer["data"]["choices"]["n_folds"] == 2
    assert len(answer["comparison"]) == 3
    interrupt_after(monkeypatch, _comparing, 0)
    assert run("evaluate", write(), *options).exit_code == 130


def test_ctrl_c_in_a_fit_that_keeps_what_it_has(ratings, monkeypatch):
    """Neural models end training then, and go on as if nothing had happened."""
    import signal

    def fit(self, X, y=None):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            return self

    monkeypatch.setattr(AutoRec, "fit", fit)
    monkeypatch.setattr(AutoRec, "predict", lambda self, X: X.toarray())
    (setting,) = settings_of([MODELS["AutoRec"]], [], 100)
    fold = _trials.Fold(ratings[:30], ratings[30:])
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            _trials.run_trial(setting, fold, rating_scorer(["neg_rmse"]))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, inherited)


def test_warnings_of_models_are_notes_of_one_line(write, monkeypatch):
    import warnings

    fit = EASE.fit

    def warning_fit(self, X, y=None):
        warnings.warn("it is\nslow", stacklevel=1)
        return fit(self, X)

    monkeypatch.setattr(EASE, "fit", warning_fit)
    monkeypatch.setattr(_trials, "_noted", set())
    result = run("evaluate", write(), "--model", "EASE")
    assert result.stderr == "skrec: note: EASE: it is slow\n"


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--folds", 0], ["--folds", "0"]),
        (["--folds", "x"], ["--folds", "'x'"]),
        (["--folds", 41], ["40 of 40 users", "41 folds"]),
        (["--min-items-per-user", 1], ["--min-items-per-user"]),
        (["--min-items-per-user", 100], ["only 0 of 40 users", "100 items"]),
        (["--min-rating", "nan"], ["--min-rating", "not a finite number"]),
        (["--min-rating", "1e300"], ["only 0 of 40 users"]),
        (["--min-rating", 6], ["only 0 of 40 users", "rated 6 or more"]),
        (["--duplicates", "first"], ["--duplicates", "'first'"]),
        (["--metric", "ndgc@10"], ["--metric", "Did you mean 'ndcg@10'?"]),
        (["--metric", "ndcg"], ["--metric", "cut-off"]),
        (["--metric", "rmse", "--min-rating", 3], ["--metric rmse", "--min-rating makes choices"]),
        (["--metric", "rmse", "--model", "EASE"], ["--metric rmse", "EASE", "leave out one"]),
        (["--metric", "ndcg@5", "--model", "PMF"], ["--metric ndcg@5", "PMF", "leave out one"]),
        (["--metric", "ndcg@5", "--model", "PMF", "--model", "EASE"], ["--model PMF"]),
        (["--model", "PMF", "--min-rating", 3], ["--model PMF", "--min-rating makes choices"]),
        (["--model", "DeepLTRS"], ["--model DeepLTRS", "--review"]),
        (["--model", "eese"], ["--model eese", "Did you mean EASE?", "RP3beta"]),
        (["--param", "l2=5"], ["--param l2=5", "of which model", "MODEL.l2=5"]),
        (["--param", "l2"], ["--param l2", "name=value"]),
        (["--param", "EASE.l3=5"], ["EASE has no such parameter", "dropout", "l2"]),
        (["--param", "PMF.l2=5", "--model", "EASE"], ["PMF is not among the models: EASE"]),
        (["--model", "EASE", "--param", "l2=-5"], ["EASE(l2=-5)", "'l2'", "-5"]),
        (["--model", "EASE", "--param", "l2=five"], ["'five'"]),
        (["--budget", 0], ["--budget"]),
        (["--tune", "--folds", 3], ["--tune", "leave out --folds"]),
        (["--plot", "x.doc"], ["--plot x.doc", ".png"]),
        (["--plot", "no/folder.png"], ["--plot no/folder.png", "no such folder"]),
        (["--fold", 3], ["--fold"]),
        (["--user", "userId", "--item", "movieId", "extra"], ["extra"]),
    ],
)
def test_wrong_option(write, options, parts):
    assert_refused(run("evaluate", write(), *options), *parts)


def test_ratings_models_need_ratings(write, rows):
    path = write(rows=[row[:2] for row in rows], header=("user", "item"))
    assert_refused(run("evaluate", path, "--model", "PMF"), "--model PMF", "--rating")
    assert_refused(run("evaluate", path, "--metric", "mae"), "--metric mae", "--rating")


def test_list_models():
    result = run("evaluate", "--list-models")
    assert result.exit_code == 0
    for name, row in MODELS.items():
        (line,) = re.findall(rf"^{name} .*", result.stdout, re.MULTILINE)
        kind = "calibration" if row.calibration else row.room
        assert line.split()[1:3] == [kind, row.reads]


def test_signs_of_what_is_better_the_smaller(write):
    options = ["--model", "Popularity", "--metric", "neg_gini@5", "--folds", 2]
    result = run("evaluate", write(), *options)
    assert "  gini@5" in result.stdout and "-0." not in result.stdout


@pytest.mark.parametrize("budget", ["nan", "inf"])
def test_a_budget_is_finite(write, budget):
    assert_refused(run("evaluate", write(), "--budget", budget), "--budget", "not a finite")
