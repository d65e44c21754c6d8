"""Successive halving, and `--tune` of the commands."""

import numpy as np
import pytest
from command_line import assert_refused, run, run_json
from sklearn.model_selection import ParameterGrid

from skrec import EASE
from skrec._cli import _halving, _trials
from skrec._cli._models import settings_of
from skrec._model_table import MODELS
from skrec.metrics import ranking_scorer

SCORING = ranking_scorer(["ndcg@10"])


def settings(*names, params=()):
    return settings_of([MODELS[name] for name in names], list(params), 100)


@pytest.fixture
def choices(ratings):
    return ratings.binarize(0)


def test_rungs_double_up_to_all_users():
    assert _halving.rungs(480) == [120, 240, 480]
    assert _halving.rungs(150) == [150]
    assert len(_halving.rungs(10**6)) == _halving.MOST_RUNGS


def test_the_grid_begins_with_the_model_as_it_is_and_keeps_what_is_set():
    names = [one.name for one in _halving.grid(settings("Popularity", "EASE", "RP3beta"))]
    assert names[:2] == ["Popularity", "EASE"]
    n_ease = len(ParameterGrid(MODELS["EASE"].search))
    assert sum(name.startswith("EASE") for name in names) == n_ease  # its own is among them
    assert names[1 + n_ease] == "RP3beta"
    assert len(set(names)) == len(names)
    few = _halving.grid(settings("EASE", params=["l2=7"]))
    assert {one.changes["l2"] for one in few} == {7}
    assert {one.make().dropout for one in few} == set(MODELS["EASE"].search["dropout"])


def test_the_better_half_goes_on(choices, monkeypatch):
    monkeypatch.setattr(_halving, "LEAST_TRAINED", 8)
    tried = []

    def run_trial(setting, fold, scoring):
        model = setting.make()
        tried.append((fold.train.shape[0], model.l2))
        assert fold.test.shape[0] == 8
        score = -abs(model.l2 - 200) - model.dropout - model.relaxation - model.user_power
        return _trials.Trial({"ndcg@10": score}, {}, 0.0, 0.0)

    monkeypatch.setattr(_halving, "run_trial", run_trial)
    found = _halving.search(settings("EASE"), choices, SCORING, "ndcg@10", _trials.Clock(100))
    sizes = [size for size, _ in tried]
    assert [sizes.count(size) for size in (8, 16, 32)] == [24, 12, 6]
    assert (found.n_tried, found.n_settings) == (24, 24)
    (best,) = found.best
    assert best.setting.name == "EASE(dropout=0, l2=200, relaxation=0, user_power=0)"
    assert best.n_users == 32
    assert {l2 for size, l2 in tried if size == 16} == {100, 200}


def test_users_who_judge_are_not_learned_from(choices, monkeypatch):
    folds = []

    def run_trial(setting, fold, scoring):
        folds.append(fold)
        return _trials.Trial({"ndcg@10": 0.0}, {}, 0.0, 0.0)

    monkeypatch.setattr(_halving, "run_trial", run_trial)
    _halving.search(settings("EASE"), choices, SCORING, "ndcg@10", _trials.Clock(100))
    for fold in folds:
        assert not set(fold.train.user_ids) & set(fold.test.user_ids)
        assert fold.test.user_ids.tolist() == folds[0].test.user_ids.tolist()


def test_one_rung_finds_what_a_loop_finds(choices):
    found = _halving.search(settings("EASE"), choices, SCORING, "ndcg@10", _trials.Clock(100))
    users = np.random.default_rng(0).permutation(choices.shape[0])
    test, train = np.sort(users[:8]), np.sort(users[8:])
    scores = {
        one.name: SCORING(one.make().fit(choices.X[train]), choices.X[test])["ndcg@10"]
        for one in _halving.grid(settings("EASE"))
    }
    assert found.best[0].score == pytest.approx(max(scores.values()))
    assert scores[found.best[0].setting.name] == max(scores.values())


def test_what_takes_too_long_is_left_out(choices, monkeypatch):
    monkeypatch.setattr(_halving, "LEAST_TRAINED", 8)

    def run_trial(setting, fold, scoring):
        slow = setting.row.name == "RP3beta"
        return _trials.Trial({"ndcg@10": 1.0 if slow else 0.5}, {}, 60.0 if slow else 0.0, 0.0)

    monkeypatch.setattr(_halving, "run_trial", run_trial)
    found = _halving.search(
        settings("EASE", "RP3beta"), choices, SCORING, "ndcg@10", _trials.Clock(100)
    )
    # One of the slow ones is tried; it is the best of its rung, but cannot go on.
    assert found.best[0].setting.row.name == "EASE" and found.best[0].n_users == 32
    assert found.best[1].setting.name == "RP3beta" and found.best[1].n_users == 8
    assert found.n_tried == 25 and found.left_out == {}


def test_a_slow_model_leaves_the_grids_of_quick_ones_alone(choices, monkeypatch):
    left = iter([1.0] * 30 + [0.0] * 100)
    monkeypatch.setattr(_trials.Clock, "left", lambda self: next(left))
    monkeypatch.setattr(
        _halving, "run_trial", lambda *args: _trials.Trial({"ndcg@10": 0.0}, {}, 0.0, 0.0)
    )
    both = settings("EASE", "RP3beta")
    found = _halving.search(both, choices, SCORING, "ndcg@10", _trials.Clock(1))
    tried = [reached.setting.row.name for reached in found.best]
    assert tried == ["EASE", "RP3beta"] and 24 < found.n_tried < found.n_settings


def test_refusals_leave_a_model_out(choices, monkeypatch):
    def fit(self, X, y=None):
        raise ValueError("not today")

    monkeypatch.setattr(EASE, "fit", fit)
    both = settings("Popularity", "EASE")
    found = _halving.search(both, choices, SCORING, "ndcg@10", _trials.Clock(100))
    assert found.left_out == {"EASE": "not today"}
    assert [reached.setting.name for reached in found.best] == ["Popularity"]
    with pytest.raises(_trials.Refused, match="EASE: not today"):
        _halving.search(settings("EASE"), choices, SCORING, "ndcg@10", _trials.Clock(100))


def interrupt_after(monkeypatch, n_trials):
    done = []

    def run_trial(setting, fold, scoring):
        if len(done) == n_trials:
            raise KeyboardInterrupt
        done.append(setting.name)
        return _trials.run_trial(setting, fold, scoring)

    monkeypatch.setattr(_halving, "run_trial", run_trial)


OPTIONS = ("--min-rating", 1, "--metric", "ndcg@10", "--model", "Popularity", "--model", "EASE")


def test_evaluate_compares_the_best_of_each_model_on_other_users(write):
    answer = run_json("evaluate", write(), *OPTIONS, "--tune")
    assert answer["search"]["choices"]["n_settings"] == 25
    best = answer["search"]["choices"]["best"]
    assert {entry["model"].partition("(")[0] for entry in best} == {"Popularity", "EASE"}
    assert [row["n_users"] for row in answer["comparison"]] == [8, 8]
    assert {row["model"] for row in answer["comparison"]} == {entry["model"] for entry in best}
    assert "--param l2=" in answer["best"]["choices"]["command"]
    text = run("evaluate", write(), *OPTIONS, "--tune").stdout
    assert "25 of 25 settings tried" in text


def test_evaluate_after_ctrl_c_names_the_best_so_far(write, monkeypatch):
    interrupt_after(monkeypatch, 5)
    result = run("evaluate", write(), *OPTIONS, "--tune")
    assert result.exit_code == 0
    assert "Stopped by Ctrl-C" in result.stdout and "5 of 25 settings" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("Best for recommending is EASE")
    interrupt_after(monkeypatch, 5)
    answer = run_json("evaluate", write(), *OPTIONS, "--tune")
    assert answer["interrupted"] and answer["comparison"] == []
    assert answer["best"]["choices"]["model"] == answer["search"]["choices"]["best"][0]["model"]
    interrupt_after(monkeypatch, 0)
    assert run("evaluate", write(), *OPTIONS, "--tune").exit_code == 130


def test_recommend_takes_what_the_search_finds(write, ratings):
    found = _halving.search(
        settings("EASE"),
        ratings.binarize(0),
        ranking_scorer(["ndcg@100"]),
        "ndcg@100",
        _trials.Clock(100),
    )
    answer = run_json("recommend", write(), "--tune", "--k", 2, "--user-id", 100)
    best = found.best[0].setting
    assert answer["parameters"] == best.changes
    expected = best.make().fit(ratings.binarize(0).X).recommend(ratings.binarize(0).X[:1], 2)[0]
    listed = [entry["item"] for entry in answer["recommendations"]["100"]]
    assert listed == ratings.item_ids[expected].tolist()


def test_recommend_after_ctrl_c_goes_on_with_the_best_so_far(write, monkeypatch):
    interrupt_after(monkeypatch, 3)
    result = run("recommend", write(), "--tune", "--k", 2, "--user-id", 100)
    assert result.exit_code == 0 and "stopped by Ctrl-C" in result.stderr


def test_wrong_use(write, tmp_path):
    result = run("recommend", write(), "--model", "popularity", "--tune")
    assert_refused(result, "Popularity has nothing left to tune", "--tune")
    params = ["l2=5", "dropout=0.5", "relaxation=0.2", "user_power=1"]
    options = [word for param in params for word in ("--param", param)]
    result = run("recommend", write(), "--tune", *options)
    assert_refused(result, f"EASE({', '.join(params)}) has nothing left to tune")
    assert_refused(run("recommend", write(), "--budget", 5), "--budget", "--tune")
    path = tmp_path / "r.csv"
    path.write_text("user,item\na,x\na,y\nb,x\nc,y\n")
    assert_refused(run("recommend", path, "--tune"), "only 1 users have two items", "needs 5")
