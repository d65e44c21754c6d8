"""Progress bars: the time left, what is shown when training ends early, and silence."""

import inspect
import re

import numpy as np
import pytest
import tqdm.std

from skrec import IALS, MultVAE
from skrec._model_table import MODELS
from skrec.utils._progress import progress_bar

ROWS = [row for row in MODELS.values() if "verbose" in inspect.signature(row.load()).parameters]
X = (np.random.default_rng(0).random((40, 8)) < 0.4) * 1.0
ENDED = r"(\d+)/\1 \[\d\d:\d\d<00:00"  # all of all, nothing left


def test_the_time_left_is_that_of_the_rest_at_the_present_pace(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(tqdm.std, "time", lambda: now)
    with progress_bar(total=20, mininterval=0) as bar:
        for seconds in (9, 2, 2, 2, 2, 2, 2, 2):
            now += seconds
            bar.update()
        facts = bar.format_dict
        assert (facts["n"], facts["elapsed"]) == (8, 23)
        left = re.search(r"<(\d\d):(\d\d)", str(bar)).groups()
        assert (
            24 <= 60 * int(left[0]) + int(left[1]) <= 30
        )  # 12 times 2 s, a slow start weighed less
        bar.finish()
        assert re.search(ENDED, str(bar))


def test_nothing_is_shown_where_nobody_looks(capsys):
    with progress_bar(total=3, silent=True) as bar:
        bar.set_postfix(loss=1)
        bar.update()
        bar.finish()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_models_show_a_bar_if_asked_only(row, capsys):
    few = {name: 2 for name in ("max_iter", "n_samples") if name in row.load()().get_params()}
    model = row.instance(**few)
    model.fit(X)
    assert capsys.readouterr() == ("", "")
    model.set_params(verbose=1).fit(X)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert row.name in shown.err
    assert re.search(ENDED, shown.err)


def test_training_that_stops_early_is_over(capsys):
    model = MultVAE(4, hidden_layer_sizes=(), max_iter=200, n_iter_no_change=2, random_state=0)
    n_iter = model.set_params(verbose=1).fit(X).n_iter_
    assert n_iter < 200
    shown = capsys.readouterr().err.split("\r")[-1]
    assert f" {n_iter}/{n_iter} [" in shown and re.search(ENDED, shown)
    best = max(model.validation_scores_)
    assert f"best={best:.4g} in epoch {model.best_iteration_}" in shown
    model = IALS(2, tol=0.5, random_state=0, verbose=1).fit(X)
    shown = capsys.readouterr().err.split("\r")[-1]
    assert f" {model.n_iter_}/{model.n_iter_} [" in shown and re.search(ENDED, shown)
