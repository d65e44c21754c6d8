"""The command line, as a user meets it."""

import csv
import gzip
import io
import json
import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

import skrec
from skrec import EASE, Interactions, Popularity
from skrec._cli import cli
from skrec._cli._models import candidates, reasons, tune
from skrec.datasets import load_movielens_small
from skrec.metrics import ranking_scorer
from skrec.model_selection import compare_recommenders
from skrec.utils import _files

N_USERS, N_ITEMS = 40, 25


@pytest.fixture(scope="module")
def rows():
    """Tuples of user, item, rating, timestamp; every user has between 8 and 16 items."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(N_USERS):
        taste = np.where(np.arange(N_ITEMS) % 2 == user % 2, 4.0, 1.0)
        items = rng.choice(N_ITEMS, rng.integers(8, 17), replace=False, p=taste / taste.sum())
        rows += [
            (user + 100, int(item), float(rng.integers(1, 11) / 2), 1000 + len(rows))
            for item in items
        ]
    return rows


@pytest.fixture(scope="module")
def ratings(rows):
    users, items, values, timestamps = zip(*rows, strict=True)
    return Interactions.from_arrays(users, items, values, timestamps=timestamps)


@pytest.fixture
def write(tmp_path, rows):
    """Write rows under a name, in the format that the name says; returns the path."""

    def write(name="ratings.csv", rows=rows, header=("userId", "movieId", "rating", "timestamp")):
        path = tmp_path / name
        if name.endswith(".parquet"):
            columns = zip(*rows, strict=True)
            frame = pl.DataFrame(dict(zip(header, map(list, columns), strict=True)))
            frame.write_parquet(path)
            return path
        text = io.StringIO()
        delimiter = "\t" if ".tsv" in name else ","
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        writer.writerows([header, *rows] if header else rows)
        content = text.getvalue().encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


def run(*args):
    result = CliRunner().invoke(cli, [str(arg) for arg in args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run_process(*args, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "skrec", *map(str, args)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment(),
        **kwargs,
    )


def environment():
    root = str(Path(skrec.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root, "PYTHONIOENCODING": "utf-8"}


def run_json(*args):
    result = run(*args, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def assert_refused(result, *parts):
    """One line on standard error, exit code 2, nothing on standard output."""
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("skrec: error: ")
    assert result.stderr.count("\n") == 1 and result.stderr.endswith("\n")
    for part in parts:
        assert part in result.stderr


def read_rows(text):
    return list(csv.DictReader(io.StringIO(text)))


# --- reading files ---------------------------------------------------------------------------


def test_parameters_of_the_reader_are_options(write, tmp_path):
    path = tmp_path / "r.csv"
    for command in ("evaluate", "recommend"):
        path.write_text("user;item;stars, all\n" + "1;1;3,5\n" * 9)
        assert_refused(run(command, path), "by comma or by semicolon", "with --separator\n")
        assert_refused(run(command, path, "--separator", "||"), "--separator || is none of comma")
        path.write_bytes("user,item\nJos\xe9,1\n".encode("latin-1"))
        assert_refused(run(command, path), "line 2: ", "such as --encoding latin-1\n")
        assert_refused(run(command, path, "--encoding", "x"), "--encoding x is unknown")
        path.write_text("ann,tea\nbob,jam\n")
        assert_refused(run(command, path), "say --header, otherwise --no-header\n")
        path.write_text("user,x,y\n1,2,3\n")
        assert_refused(run(command, path), "Name it with --item; the columns are 'user', 'x', 'y'")
        assert_refused(run(command, path, "--item", "z"), "--item z: no column is called so")
        same = ("--user", "x", "--item", "x")
        assert_refused(run(command, path, *same), "--user, --item, --rating, --timestamp and --re")
        path.write_text("a,b,c\n1,2,3\n1,4,good\n")
        assert_refused(run(command, path), "(line 3)", "with --rating; a file without one needs")
        path.write_bytes(b"")
        assert_refused(run(command, path), "r.csv: cannot be read: it is empty")


@pytest.mark.parametrize("name", ["r.csv", "r.tsv.gz", "r.txt", "r.parquet", "R.CSV"])
def test_formats(write, ratings, name):
    answer = run_json("recommend", write(name), "--l2", 30)
    assert len(answer["recommendations"]) == len(ratings.user_ids)


def test_options_of_the_reader(tmp_path):
    path = tmp_path / "r.txt"
    path.write_text("a|1|x\na|2|y\nb|2|z\n")
    options = ("--separator", "|", "--no-header", "--user", "2", "--item", "1", "--review", "3")
    result = run("recommend", path, *options)
    assert [(row["user"], row["item"]) for row in read_rows(result.stdout)] == [("1", "b")]


def test_columns_that_nothing_needs(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("user,item,rating,date\n1,1,2,3\n1,2,good,4\n\n2,1,3,soon")
    result = run("recommend", path)
    assert result.exit_code == 0
    assert [(row["user"], row["item"]) for row in read_rows(result.stdout)] == [("2", "2")]
    rating, timestamp = result.stderr.splitlines()
    assert rating.startswith("skrec: note: ") and "'good' (line 3)" in rating
    assert timestamp.startswith("skrec: note: ") and "'soon' (line 5)" in timestamp
    assert_refused(run("recommend", path, "--min-rating", 1), "--min-rating needs", "'good' (line")
    path.write_text(path.read_text().replace("good", "5"))
    assert run("recommend", path, "--min-rating", 1).stderr.count("skrec: note: ") == 1


def test_ratings_without_the_time_that_decides(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("user,item,rating,date\n1,1,5,2024-01-02\n1,1,1,soon\n2,2,5,2024-01-01\n")
    assert_refused(run("recommend", path), "'soon' (line 3)", "rule with --duplicates\n")
    assert run("recommend", path, "--duplicates", "max").exit_code == 0


def test_wrong_path(tmp_path):
    for command in ("evaluate", "recommend"):
        assert_refused(run(command, tmp_path / "none.csv"), "none.csv", "does not exist")
        assert_refused(run(command, tmp_path), "is a directory")
        assert_refused(run(command), "Missing argument 'FILE'")


def test_duplicates(write, rows):
    path = write(rows=[*rows, (*rows[0][:2], 0.5, 1)])
    said = ("1 pairs of user and item", "choose --duplicates one of")
    assert_refused(run("evaluate", path, "--duplicates", "error"), *said)


def test_programming_errors_are_not_hidden(write, monkeypatch):
    def fit(self, X, y=None):
        raise RuntimeError("a bug")

    monkeypatch.setattr(EASE, "fit", fit)
    with pytest.raises(RuntimeError, match="a bug"):
        run("recommend", write())


@pytest.mark.parametrize("command", ["evaluate", "recommend"])
def test_what_a_model_refuses_is_one_line(write, monkeypatch, command):
    def fit(self, X, y=None):
        raise ValueError("X has too many items: 25. Leave some out.")

    monkeypatch.setattr(EASE, "fit", fit)
    assert_refused(run(command, write()), "X has too many items: 25. Leave some out.")


def test_too_little_memory_is_one_line(write, monkeypatch):
    def fit(self, X, y=None):
        raise MemoryError("EASE needs 99 GiB")

    monkeypatch.setattr(EASE, "fit", fit)
    result = run("recommend", write())
    assert result.exit_code == 1
    assert result.stderr == "skrec: error: not enough memory. EASE needs 99 GiB\n"


# --- evaluate --------------------------------------------------------------------------------


def as_rows(comparison):
    rows = zip(*(column.tolist() for column in comparison.values()), strict=True)
    return [dict(zip(comparison, row, strict=True)) for row in rows]


TIMES = ("fit_time", "score_time")


def test_evaluate_is_compare_recommenders(write, ratings):
    liked = ratings.binarize(2.99).filter(min_users_per_item=1, min_items_per_user=6)
    scoring = ranking_scorer(["ndcg@10", "coverage@5"])
    expected = compare_recommenders(candidates(), liked.X, cv=4, scoring=scoring)
    options = ["--min-rating", 3, "--min-items-per-user", 6, "--folds", 4]
    options += ["--metric", "ndcg@10", "--metric", "coverage@5"]
    answer = run_json("evaluate", write(), *options)
    assert (answer["n_users"], answer["n_items"]) == liked.X.shape
    assert answer["n_interactions"] == liked.X.nnz
    assert len(answer["comparison"]) == len(candidates()) * 2
    for row, wanted in zip(answer["comparison"], as_rows(expected), strict=True):
        assert row.keys() == wanted.keys()
        for name in set(row) - set(TIMES):
            value = np.nan if row[name] is None else row[name]
            if isinstance(value, str):
                assert value == wanted[name]
            else:
                assert value == pytest.approx(wanted[name], nan_ok=True)


def test_evaluate_prints_the_same_numbers(write):
    path = write()
    answer = run_json("evaluate", path)
    result = run("evaluate", path)
    assert result.exit_code == 0 and result.stderr == ""
    assert "40 users, 25 items" in result.stdout
    assert max(map(len, result.stdout.splitlines())) < 100
    lines = re.findall(r"^(.+?) {2,}(\w+@\d+) +([\d.]+) +([\d.]+)", result.stdout, re.MULTILINE)
    assert len(lines) == 9
    for line, row in zip(lines, answer["comparison"], strict=True):
        assert line == (
            row["model"],
            row["metric"],
            f"{row['mean']:.4f}",
            f"{row['standard_error']:.4f}",
        )


def test_evaluate_finds_structure(write):
    rows = run_json("evaluate", write(), "--metric", "ndcg@10")["comparison"]
    means = {row["model"]: row["mean"] for row in rows}
    assert means["EASE"] > means["Popularity"]


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--folds", 1], ["--folds", "1"]),
        (["--folds", "x"], ["--folds", "'x'"]),
        (["--folds", 41], ["40 of 40 users", "41 folds"]),
        (["--min-items-per-user", 1], ["--min-items-per-user"]),
        (["--min-items-per-user", 100], ["only 0 of 40 users", "100 items"]),
        (["--min-rating", "nan"], ["--min-rating", "not a finite number"]),
        (["--min-rating", "1e300"], ["only 0 of 40 users"]),
        (["--min-rating", 6], ["only 0 of 40 users", "rated 6 or more"]),
        (["--duplicates", "first"], ["--duplicates", "'first'"]),
        (["--metric", "ndgc@10"], ["--metric", "Did you mean 'ndcg'?"]),
        (["--metric", "ndcg"], ["--metric", "cut-off"]),
        (["--fold", 3], ["--fold"]),
        (["--user", "userId", "--item", "movieId", "extra"], ["extra"]),
    ],
)
def test_evaluate_wrong_option(write, options, parts):
    assert_refused(run("evaluate", write(), *options), *parts)


def test_min_rating_without_ratings(write, rows):
    path = write(rows=[row[:2] for row in rows], header=("user", "item"))
    for command in ("evaluate", "recommend"):
        assert_refused(run(command, path, "--min-rating", 3), "no column of ratings", "--rating")


# --- recommend -------------------------------------------------------------------------------


def test_recommend_is_ease(write, ratings, tmp_path):
    out = tmp_path / "recs.csv"
    X = ratings.binarize(-np.inf).X
    model = EASE(l2=20, dropout=0.25).fit(X)
    indices, scores = model.recommend(X, 5, return_scores=True)
    expected = [
        (str(user), str(rank), str(ratings.item_ids[item]), pytest.approx(score, rel=1e-5))
        for user, items, values in zip(ratings.user_ids, indices, scores, strict=True)
        for rank, (item, score) in enumerate(zip(items, values, strict=True), 1)
    ]
    result = run("recommend", write(), "--k", 5, "--l2", 20, "--dropout", 0.25, "--out", out)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    text = out.read_text(encoding="utf-8")
    assert text.splitlines()[0] == "user,rank,item,score"
    found = [(r["user"], r["rank"], r["item"], float(r["score"])) for r in read_rows(text)]
    assert found == expected
    assert sorted(os.listdir(tmp_path)) == ["ratings.csv", "recs.csv"]
    again = run("recommend", write(), "--k", 5, "--l2", 20, "--dropout", 0.25)
    assert again.stdout == text


def test_recommend_leaves_out_all_that_is_seen(write, rows, ratings):
    seen = {(str(user), str(item)) for user, item, *_ in rows}
    answer = run("recommend", write(), "--k", 100, "--min-rating", 4)
    found = read_rows(answer.stdout)
    pairs = {(row["user"], row["item"]) for row in found}
    assert len(pairs) == len(found) and not pairs & seen
    assert all(row["item"] != "-1" for row in found)
    # All that a user has not seen, of the items that anybody likes.
    liked = ratings.binarize(3.99)
    items = liked.X.sum(axis=0) > 0
    users = liked.X.sum(axis=1) > 0
    assert len(found) == (ratings.X.toarray()[users][:, items] == 0).sum()
    # The ones below the threshold are not learned from.
    X = liked.X[users][:, items]
    scores = EASE().fit(X).predict(X)
    user = found[0]["user"]
    row = ratings.user_ids[users].tolist().index(int(user))
    column = ratings.item_ids[items].tolist().index(int(found[0]["item"]))
    assert float(found[0]["score"]) == pytest.approx(scores[row, column], rel=1e-5)


def test_recommend_json_and_users(write, ratings, tmp_path):
    path, out = write(), tmp_path / "recs.csv"
    answer = run_json(
        "recommend", path, "--k", 3, "--user-id", 120, "--user-id", 101, "--out", out
    )
    assert answer["model"] == "ease" and answer["parameters"] == {"l2": 500, "dropout": 0}
    assert list(answer["recommendations"]) == ["120", "101"]
    X = ratings.binarize(-np.inf).X
    indices, scores = EASE().fit(X).recommend(X[[20, 1]], 3, return_scores=True)
    for found, items, values in zip(
        answer["recommendations"].values(), indices, scores, strict=True
    ):
        assert [entry["item"] for entry in found] == ratings.item_ids[items].tolist()
        assert [entry["score"] for entry in found] == pytest.approx(values, rel=1e-5)
    assert [row["user"] for row in read_rows(out.read_text())] == ["120"] * 3 + ["101"] * 3


def test_recommend_popularity(write, ratings):
    answer = run_json("recommend", write(), "--model", "popularity", "--k", 4)
    X = ratings.binarize(-np.inf).X
    indices = Popularity().fit(X).recommend(X, 4)
    assert answer["parameters"] == {}
    for found, items in zip(answer["recommendations"].values(), indices, strict=True):
        assert [entry["item"] for entry in found] == ratings.item_ids[items].tolist()


def test_recommend_to_ids_that_are_strings(write, rows):
    named = [(f"user {user}", f"caf\xe9, {item}", *rest) for user, item, *rest in rows]
    path = write(rows=named)
    found = read_rows(run("recommend", path, "--user-id", "user 100", "--k", 2).stdout)
    assert [row["user"] for row in found] == ["user 100"] * 2
    assert all(row["item"].startswith("caf\xe9, ") for row in found)


def test_recommend_tune(write, ratings, monkeypatch):
    grid = {"l2": [5, 50], "dropout": [0, 0.3]}
    monkeypatch.setattr("skrec._cli._models.grid_of", lambda _: grid)
    X = ratings.binarize(-np.inf).X
    scorer = ranking_scorer(["ndcg@100"])
    best = tune(EASE(), X, scorer, refit="ndcg@100").best_params_
    answer = run_json("recommend", write(), "--tune", "--k", 2, "--user-id", 100)
    assert answer["parameters"] == best
    expected = EASE(**best).fit(X).recommend(X[:1], 2)[0]
    found = [entry["item"] for entry in answer["recommendations"]["100"]]
    assert found == ratings.item_ids[expected].tolist()


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--k", 0], ["--k", "0"]),
        (["--l2", 0], ["--l2"]),
        (["--l2", "inf"], ["--l2", "finite"]),
        (["--l2", "1e308"], ["--l2", "1e+308 is more than 3.4e+38"]),
        (["--l2", "1e39"], ["--l2", "1e+39 is more than 3.4e+38"]),
        (["--dropout", 1], ["--dropout"]),
        (["--dropout", "nan"], ["--dropout", "finite"]),
        (["--model", "eaze"], ["--model", "'eaze'"]),
        (["--tune", "--l2", 5], ["--tune chooses --l2"]),
        (["--model", "popularity", "--tune"], ["popularity", "leave out --tune"]),
        (["--model", "popularity", "--l2", 5], ["popularity", "leave out --l2"]),
        (["--user-id", 7], ["--user-id 7", "among its 40, from 100 to 139"]),
        (["--min-rating", 6], ["nothing is rated 6 or more"]),
        (["--out", "."], ["--out", "directory"]),
        (["--out", "no/such/folder.csv"], ["cannot write no/such/folder.csv"]),
    ],
)
def test_recommend_wrong_option(write, options, parts):
    assert_refused(run("recommend", write(), *options), *parts)


def test_recommend_to_a_user_without_history(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("user,item,rating\na,x,5\na,y,5\nb,x,1\nc,y,5\n")
    result = run("recommend", path, "--min-rating", 4, "--user-id", "b")
    assert_refused(result, "--user-id b", "nothing rated 4 or more")
    found = read_rows(run("recommend", path, "--min-rating", 4).stdout)
    assert {row["user"] for row in found} == {"c"}  # a has seen everything, b is left out
    assert_refused(run("recommend", path, "--tune"), "only 1 users have two items", "5 folds")


def test_recommend_with_a_penalty_that_is_no_penalty(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("user,item\n" + "".join(f"{user},x\n{user},y\n" for user in range(4)))
    result = run("recommend", path, "--l2", 1e-30)
    assert_refused(result, "--l2 1e-30", "not positive definite", "a larger l2")


def test_what_a_killed_command_left_is_swept(write, tmp_path):
    out = tmp_path / "recs.csv"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f"recs.csv.part-{_files._machine()}-{ended.pid}-abcdefgh"
    left.mkdir()
    (left / "recs.csv").write_text("user,rank")
    assert run("recommend", write(), "--out", out).exit_code == 0
    assert sorted(os.listdir(tmp_path)) == ["ratings.csv", "recs.csv"]


def test_failed_write_leaves_the_old_file(write, tmp_path, monkeypatch):
    out = tmp_path / "recs.csv"
    out.write_text("old")
    path = write()

    def replace(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", replace)
    assert_refused(run("recommend", path, "--out", out), "cannot write", "No space left")
    assert out.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["ratings.csv", "recs.csv"]


# --- the command itself ----------------------------------------------------------------------


def test_help_and_version():
    assert run("--version").stdout == f"skrec, version {skrec.__version__}\n"
    for command in ([], ["evaluate"], ["recommend"]):
        result = run(*command, "--help")
        assert result.exit_code == 0 and "Example" in result.stdout
        assert "\n  skrec" in result.stdout or "\n    skrec" in result.stdout
    for default in ("[default: 500; x>0]", "[default: 10; x>=1]", "[default: ease]"):
        assert default in " ".join(run("recommend", "--help").stdout.split())


def test_help_is_quick():
    code = (
        "import sys\n"
        "try:\n    from skrec.__main__ import main; main()\n"
        "except SystemExit:\n    print(sorted(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, env=environment()
    )
    loaded = result.stdout.splitlines()[-1]
    assert "'click'" in loaded
    for heavy in ("polars", "pandas", "pyarrow", "torch", "tqdm", "skrec.linear"):
        assert f"'{heavy}'" not in loaded


def test_wrong_command():
    assert_refused(run("evalute"), "evalute")
    assert_refused(run("--jsn"), "--jsn")
    assert_refused(run("--json", "evaluate", "x.csv"), "--json", "evaluate")


def test_process_exit_codes_and_silence(write):
    result = run_process("recommend", write(), "--k", 2)
    assert result.returncode == 0 and result.stderr == ""
    assert len(read_rows(result.stdout)) == 2 * N_USERS
    result = run_process("evaluate", write(), "--json", "--metric", "ndcg@5")
    assert result.returncode == 0 and result.stderr == ""
    assert len(json.loads(result.stdout)["comparison"]) == 3
    result = run_process("evaluate", "nowhere.csv")
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.count("\n") == 1 and "nowhere.csv" in result.stderr


def test_closed_pipe_is_no_traceback(write):
    process = subprocess.Popen(
        [sys.executable, "-m", "skrec", "recommend", str(write()), "--k", "20"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait()


def read_terminal(leader, until=None):
    """What is written to a terminal up to a text, or up to its end."""
    seen = b""
    while until is None or until not in seen:
        if not select.select([leader], [], [], 60)[0]:
            raise TimeoutError(seen.decode())
        try:
            chunk = os.read(leader, 4096)
        except OSError:  # how Linux says that nobody holds the other end any more
            break
        if not chunk:
            break
        seen += chunk
    return seen.decode()


@pytest.fixture
def on_terminal():
    """Start skrec with standard error on a terminal; returns the process and the terminal."""
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    opened = []

    def start(*args):
        leader, follower = pty.openpty()
        termios.tcsetwinsize(follower, (24, 80))
        process = subprocess.Popen(
            [sys.executable, "-m", "skrec", *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=follower,
            env=environment(),
        )
        os.close(follower)
        opened.append((process, leader))
        return process, leader

    yield start
    for process, leader in opened:
        process.kill()
        process.wait()
        process.stdout.close()
        os.close(leader)


def test_progress_on_a_terminal(write, on_terminal):
    process, leader = on_terminal("recommend", write(), "--k", 1, "--tune", "--json")
    shown = read_terminal(leader)
    assert "reading" in shown and re.search(r"grid search: .*\d+/75", shown)
    assert json.loads(process.stdout.read())["recommendations"]
    assert process.wait() == 0


def test_ctrl_c(on_terminal):
    process, leader = on_terminal()
    shown = read_terminal(leader, until=b"grid search")
    process.send_signal(signal.SIGINT)
    shown += read_terminal(leader)
    assert process.wait() == 130
    assert "Traceback" not in shown


# --- the main job ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def main_job():
    result = run_process("--json")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return json.loads(result.stdout)


def test_main_job_recommends_unseen_movies_for_reasons_in_the_history(main_job):
    ratings = load_movielens_small()
    row = ratings.user_ids.tolist().index(main_job["user"])
    seen = dict(
        zip(
            ratings.item_ids[ratings.X[[row]].indices].tolist(),
            ratings.X[[row]].data.tolist(),
            strict=True,
        )
    )
    history = {movie["item"]: movie["rating"] for movie in main_job["history"]}
    assert history == {item: stars for item, stars in seen.items() if stars >= 4}
    recommended = main_job["recommendations"]
    assert [movie["rank"] for movie in recommended] == list(range(1, 11))
    assert not {movie["item"] for movie in recommended} & set(seen)
    assert len({movie["title"] for movie in recommended}) == 10
    scores = [movie["score"] for movie in recommended]
    assert scores == sorted(scores, reverse=True)
    for movie in recommended:
        assert 2 <= len(movie["because"]) <= 3
        shares = [reason["share"] for reason in movie["because"]]
        assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1
        assert {reason["item"] for reason in movie["because"]} <= set(history)


def test_main_job_holds_its_user_out(main_job):
    ratings = load_movielens_small()
    liked = ratings.binarize(3.5).filter(min_users_per_item=1, min_items_per_user=5)
    others = liked.user_ids != main_job["user"]
    X = liked.X[others]
    assert main_job["data"]["evaluated"]["n_users"] == X.shape[0] == liked.X.shape[0] - 1
    search = main_job["search"]
    model = EASE(**search["best_params"]).fit(X)
    seen = ratings.X[[ratings.user_ids.tolist().index(main_job["user"])]].indices
    unseen = ~np.isin(liked.item_ids, ratings.item_ids[seen])
    expected = model.recommend(liked.X[~others], 10, items=unseen)[0]
    assert [movie["item"] for movie in main_job["recommendations"]] == liked.item_ids[
        expected
    ].tolist()


def test_main_job_tunes_the_best_model(main_job):
    rows = [row for row in main_job["comparison"] if row["metric"] == "ndcg@100"]
    means = {row["model"]: row["mean"] for row in rows}
    assert main_job["search"]["model"] == max(means, key=means.get)
    assert means["Popularity"] < 0.25 < 0.32 < means["EASE"]
    assert max(means.values()) < main_job["search"]["best_score"] < 0.4


def test_main_job_prints_text(monkeypatch):
    # Other tests look at what the whole grid finds; this is quick.
    models = {"EASE": EASE(l2=100), "Popularity": Popularity()}
    monkeypatch.setattr("skrec._cli._demo.candidates", lambda: models)
    monkeypatch.setattr("skrec._cli._models.grid_of", lambda _: {"l2": [100]})
    result = run()
    assert result.exit_code == 0 and result.stderr == ""
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) < 100
    assert lines[0] == ("MovieLens latest-small: 100,836 ratings of 9,724 movies by 610 users.")
    assert "standard error" in result.stdout and "p value" in result.stdout
    assert re.search(r"best: l2=100, mean ndcg@100 0\.\d{4}", result.stdout)
    assert len(re.findall(r"^ +\d+\. \w", result.stdout, re.MULTILINE)) == 10
    assert result.stdout.count("because of: ") == 10


def test_main_job_with_a_winner_that_explains_nothing(monkeypatch):
    monkeypatch.setattr("skrec._cli._demo.candidates", lambda: {"Popularity": Popularity()})
    result = run()
    assert "Popularity has nothing to tune: mean ndcg@100 0.2" in result.stdout
    assert result.stdout.count("because many like it") == 10


def test_reasons_are_shares_of_what_speaks_for_an_item():
    rng = np.random.default_rng(0)
    X = Interactions.from_arrays(*np.nonzero(rng.random((60, 12)) < 0.4)).X
    model = EASE(l2=5).fit(X)
    row = X[[0]]
    items = model.recommend(row, 3)[0]
    (contributions,) = model.explain(row, items)
    dense = contributions.toarray()
    assert (dense < 0).any()
    for line, found in zip(dense, reasons(model, row, items, n_reasons=2), strict=True):
        best = np.argsort(-line)[:2]
        assert [item for item, _ in found] == best.tolist()
        shares = line[best] / line[line > 0].sum()
        assert [share for _, share in found] == pytest.approx(shares, rel=1e-5)
