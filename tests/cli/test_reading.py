"""What commands say of files, and the options that read them."""

import pytest
from command_line import assert_refused, read_rows, run, run_json


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
    answer = run_json("recommend", write(name), "--param", "l2=30")
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
    rating, timestamp, empty = result.stderr.splitlines()
    assert rating.startswith("skrec: note: ") and "'good' (line 3)" in rating
    assert timestamp.startswith("skrec: note: ") and "'soon' (line 5)" in timestamp
    assert empty.startswith("skrec: note: 1 of 2 users get no list")
    assert_refused(run("recommend", path, "--min-rating", 1), "--min-rating needs", "'good' (line")
    path.write_text(path.read_text().replace("good", "5"))
    assert run("recommend", path, "--min-rating", 1).stderr.count("column is left out") == 1


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
