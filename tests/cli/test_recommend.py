"""`skrec recommend`: whose lists, of which items, by which model."""

import gzip
import os
import subprocess
import sys

import numpy as np
import pytest
from command_line import assert_refused, read_rows, run, run_json

from skrec import EASE, PMF, Popularity
from skrec.utils import _files


def as_lists(text):
    lists = {}
    for row in read_rows(text):
        assert int(row["rank"]) == len(lists.setdefault(row["user"], [])) + 1
        lists[row["user"]].append(row["item"])
    return lists


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
    options = ["--k", 5, "--param", "l2=20", "--param", "dropout=0.25"]
    result = run("recommend", write(), *options, "--out", out)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    text = out.read_text(encoding="utf-8")
    assert text.splitlines()[0] == "user,rank,item,score"
    found = [(r["user"], r["rank"], r["item"], float(r["score"])) for r in read_rows(text)]
    assert found == expected
    assert sorted(os.listdir(tmp_path)) == ["ratings.csv", "recs.csv"]
    assert run("recommend", write(), *options).stdout == text


def test_leaves_out_all_that_is_seen(write, rows, ratings):
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


def test_json_and_users(write, ratings, tmp_path):
    path, out = write(), tmp_path / "recs.csv"
    answer = run_json(
        "recommend", path, "--k", 3, "--user-id", 120, "--user-id", 101, "--out", out
    )
    assert answer["model"] == "EASE" and answer["parameters"] == {}
    assert list(answer["recommendations"]) == ["120", "101"]
    X = ratings.binarize(-np.inf).X
    indices, scores = EASE().fit(X).recommend(X[[20, 1]], 3, return_scores=True)
    for found, items, values in zip(
        answer["recommendations"].values(), indices, scores, strict=True
    ):
        assert [entry["item"] for entry in found] == ratings.item_ids[items].tolist()
        assert [entry["score"] for entry in found] == pytest.approx(values, rel=1e-5)
    assert [row["user"] for row in read_rows(out.read_text())] == ["120"] * 3 + ["101"] * 3


def test_popularity(write, ratings):
    answer = run_json("recommend", write(), "--model", "popularity", "--k", 4)
    X = ratings.binarize(-np.inf).X
    indices = Popularity().fit(X).recommend(X, 4)
    assert answer["parameters"] == {}
    for found, items in zip(answer["recommendations"].values(), indices, strict=True):
        assert [entry["item"] for entry in found] == ratings.item_ids[items].tolist()


def test_a_model_of_ratings_takes_the_ratings(write, ratings):
    options = ["--model", "PMF", "--param", "n_components=3", "--k", 4]
    answer = run_json("recommend", write(), *options)
    model = PMF(n_components=3, random_state=0).fit(ratings.X)
    indices, scores = model.recommend(ratings.X, 4, return_scores=True)
    for found, items, values in zip(
        answer["recommendations"].values(), indices, scores, strict=True
    ):
        assert [entry["item"] for entry in found] == ratings.item_ids[items].tolist()
        assert [entry["score"] for entry in found] == pytest.approx(values, rel=1e-5)


def test_any_model(write):
    options = ["--model", "multdae", "--param", "max_iter=2", "--param", "n_components=4"]
    assert len(read_rows(run("recommend", write(), *options, "--k", 2).stdout)) == 80


def test_ids_that_are_strings(write, rows):
    named = [(f"user {user}", f"caf\xe9, {item}", *rest) for user, item, *rest in rows]
    path = write(rows=named)
    found = read_rows(run("recommend", path, "--user-id", "user 100", "--k", 2).stdout)
    assert [row["user"] for row in found] == ["user 100"] * 2
    assert all(row["item"].startswith("caf\xe9, ") for row in found)


def test_candidates_and_excluded_items(write, write_ids):
    everything = as_lists(run("recommend", write(), "--k", 100).stdout)
    stock = write_ids(3, 1, 4, "", 15, 9, 999, name="stock.txt")
    result = run("recommend", write(), "--k", 100, "--candidates", stock)
    found = as_lists(result.stdout)
    assert "1 of its 6 ids are no known item of the model, the first of them 999" in result.stderr
    for user, items in everything.items():
        assert found.get(user, []) == [
            item for item in items if item in ("3", "1", "4", "15", "9")
        ]
    banned = write_ids(4, 9, name="banned.txt")
    options = ["--candidates", stock, "--exclude-items", banned]
    found = as_lists(run("recommend", write(), "--k", 100, *options).stdout)
    for user, items in everything.items():
        assert found.get(user, []) == [item for item in items if item in ("3", "1", "15")]


def test_users_of_a_file(write, write_ids):
    users = write_ids(139, 101, "nobody", 101)
    result = run("recommend", write(), "--k", 2, "--users", users, "--user-id", 105)
    assert list(as_lists(result.stdout)) == ["105", "139", "101"]
    assert "1 of its 3 ids are no known user" in result.stderr and "nobody" in result.stderr


def test_users_without_a_history(tmp_path, write_ids):
    path = tmp_path / "r.csv"
    path.write_text("user,item,rating\na,x,5\na,y,5\nb,x,1\nc,y,5\n")
    result = run("recommend", path, "--min-rating", 4, "--user-id", "b")
    assert_refused(result, "--user-id b", "nothing rated 4 or more", "lower --min-rating")
    result = run("recommend", path, "--min-rating", 4, "--users", write_ids("b", "c"))
    assert list(as_lists(result.stdout)) == ["c"]
    assert "1 users have nothing rated 4 or more" in result.stderr
    found = read_rows(run("recommend", path, "--min-rating", 4).stdout)
    assert {row["user"] for row in found} == {"c"}  # a has seen everything, b is left out


TITLES = {
    "t.csv": 'movieId,title,genres\n1,Alien,x\n3,"Up, or so",y\n',
    "t.tsv": "3\tUp, or so\n1\tAlien\n",
    "t.dat": "1::Alien::x\n3::Up, or so::y\n",
    "names.csv": "name;stock;item id\nAlien;5;1\nUp, or so;2;3\n",
}


@pytest.mark.parametrize("name", TITLES)
def test_titles(write, write_ids, tmp_path, name):
    titles = tmp_path / name
    titles.write_text(TITLES[name])
    options = ["--items", titles, "--candidates", write_ids(1, 2, 3), "--k", 3]
    rows = read_rows(run("recommend", write(), *options).stdout)
    known = {"1": "Alien", "3": "Up, or so", "2": ""}
    assert {row["item"] for row in rows} == {"1", "2", "3"}
    assert all(row["title"] == known[row["item"]] for row in rows)
    answer = run_json("recommend", write(), *options)
    for listed in answer["recommendations"].values():
        assert all(entry["title"] == known[str(entry["item"])] for entry in listed)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--k", 0], ["--k", "0"]),
        (["--param", "l2=0"], ["EASE(l2=0)", "'l2'"]),
        (["--param", "l2=inf"], ["'l2'", "inf"]),
        (["--param", "dropout=1"], ["'dropout'"]),
        (["--param", "l3=1"], ["EASE has no such parameter", "dropout"]),
        (["--model", "eaze"], ["--model eaze", "EASE"]),
        (["--model", "PMF", "--min-rating", 3], ["--model PMF", "--min-rating"]),
        (["--user-id", 7], ["--user-id 7", "among its 40, from 100 to 139"]),
        (["--min-rating", 6], ["nothing is rated 6 or more"]),
        (["--out", "."], ["--out", "directory"]),
        (["--out", "no/such/folder.csv"], ["cannot write no/such/folder.csv"]),
        (["--users", "no.txt"], ["--users", "no.txt"]),
    ],
)
def test_wrong_option(write, options, parts):
    assert_refused(run("recommend", write(), *options), *parts)


def test_wrong_lists_of_ids(write, write_ids, tmp_path):
    for option in ("--users", "--candidates", "--exclude-items"):
        assert_refused(run("recommend", write(), option, write_ids()), option, "holds no ids")
    for option in ("--users", "--candidates"):
        result = run("recommend", write(), option, write_ids("x", "y"))
        assert_refused(result, option, "none of its 2 ids is a known")
    result = run("recommend", write(), "--exclude-items", write_ids(*range(25)))
    assert_refused(result, "--exclude-items leaves nothing")
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    assert_refused(run("recommend", write(), "--items", empty), "--items", "empty")
    empty.write_text("alone\n")
    assert_refused(run("recommend", write(), "--items", empty), "--items", "separator")


def test_a_penalty_that_is_no_penalty(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("user,item\n" + "".join(f"{user},x\n{user},y\n" for user in range(4)))
    result = run("recommend", path, "--param", "l2=1e-30")
    assert_refused(result, "EASE(l2=1e-30)", "not positive definite", "a larger l2")


def test_what_a_model_refuses_is_one_line(write, monkeypatch):
    def fit(self, X, y=None):
        raise ValueError("X has too many items: 25. Leave some out.")

    monkeypatch.setattr(EASE, "fit", fit)
    assert_refused(run("recommend", write()), "X has too many items: 25. Leave some out.")


def test_too_little_memory_is_one_line(write, monkeypatch):
    def fit(self, X, y=None):
        raise MemoryError("EASE needs 99 GiB")

    monkeypatch.setattr(EASE, "fit", fit)
    result = run("recommend", write())
    assert result.exit_code == 1
    assert result.stderr == "skrec: error: not enough memory. EASE needs 99 GiB\n"


def test_programming_errors_are_not_hidden(write, monkeypatch):
    def fit(self, X, y=None):
        raise RuntimeError("a bug")

    monkeypatch.setattr(EASE, "fit", fit)
    with pytest.raises(RuntimeError, match="a bug"):
        run("recommend", write())


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


def test_lists_of_ids_and_titles_that_match_nothing_are_told(write, tmp_path):
    none = tmp_path / "none.txt"
    none.write_text("99998\n99999\n")
    options = ["--model", "Popularity", "--user-id", 100]
    result = run("recommend", write(), *options, "--exclude-items", none)
    assert result.exit_code == 0 and "2 of its 2 ids are no known item" in result.stderr
    titles = tmp_path / "titles.csv"
    titles.write_text("item,title\n99998,x\n")
    result = run("recommend", write(), *options, "--items", titles)
    assert_refused(result, "--items", "none of its 1 ids is an item")
    for name, content in [
        ("bad.csv.gz", gzip.compress(b"item,title\n1,x\n")[:-9]),
        ("t.jsonl", b"{}"),
    ]:
        (tmp_path / name).write_bytes(content)
        assert_refused(run("recommend", write(), *options, "--items", tmp_path / name), "--items")
    damaged = bytearray(gzip.compress(b"1\n2\n" * 300))
    damaged[12:20] = b"\xff" * 8
    (tmp_path / "ids.txt.gz").write_bytes(damaged)
    result = run("recommend", write(), *options, "--candidates", tmp_path / "ids.txt.gz")
    assert_refused(result, "--candidates", "cannot be read")


def test_an_empty_list_is_told(write, rows, tmp_path):
    seen = tmp_path / "seen.txt"
    seen.write_text("\n".join(str(item) for user, item, *_ in rows if user == 100))
    options = ["--model", "Popularity", "--user-id", 100, "--candidates", seen]
    result = run("recommend", write(), *options)
    assert result.exit_code == 0 and "1 of 1 users get no list" in result.stderr


def test_counts_of_zero_are_no_choices(write):
    rows = [(user, item, int(item <= user % 3)) for user in range(12) for item in range(5)]
    path = write(rows=rows, header=("user", "item", "count"))
    listed = run_json("recommend", path, "--model", "Popularity", "--k", 5)["recommendations"]
    assert {entry["item"] for entry in listed["0"]} <= {1, 2}
