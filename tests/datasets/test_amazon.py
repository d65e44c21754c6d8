"""Amazon reviews in each of their formats, stored and served."""

import gzip
import http.server
import json
import threading

import numpy as np
import pytest

from skrec.datasets import _amazon, fetch_amazon_fine_foods, fetch_amazon_reviews

ROWS = [
    ("u2", "p1", 5.0, 30, "Tea, at last", "Loose leaves.\n Slowly: they open."),
    ("u1", "p1", 1.0, 20, "", "Stale"),
    ("u2", "p0", 3.0, 40, "New", "später besser"),
    ("u2", "p0", 4.0, 10, "Old", "früher gut"),
]
JSON = b"\n".join(
    json.dumps(
        dict(
            zip(
                ["reviewerID", "asin", "overall", "unixReviewTime", "summary", "reviewText"],
                row,
                strict=True,
            )
        )
    ).encode()
    for row in ROWS
)
SNAP = "\n".join(
    f"product/productId: {item}\nreview/userId: {user}\nreview/profileName: A: B\n"
    f"review/helpfulness: 1/1\nreview/score: {rating}\nreview/time: {time}\n"
    f"review/summary: {summary}\nreview/text: {text}\n"
    for user, item, rating, time, summary, text in ROWS
).encode("latin-1")
CSV = 'User id,Product id,Score,Time,Text\nu1,p0,4,7,"Hard, but good"\nu2,p0,5,8,\n'


def check(interactions, reviews):
    assert interactions.user_ids.tolist() == ["u1", "u2"]
    assert interactions.item_ids.tolist() == ["p0", "p1"]
    np.testing.assert_array_equal(interactions.X.toarray(), [[0, 1], [3, 5]])
    assert interactions.timestamps.tolist() == [20, 40, 30]
    assert interactions.reviews.tolist() == reviews


TEXTS = ["Stale", "später besser", "Loose leaves.\n Slowly: they open."]


@pytest.mark.parametrize("packed", [False, True])
def test_stored_files_are_read_without_a_network(tmp_path, packed):
    if packed:
        (tmp_path / "reviews_Toys_and_Games_5.json.gz").write_bytes(gzip.compress(JSON))
        (tmp_path / "finefoods.txt.gz").write_bytes(gzip.compress(SNAP))
    else:
        (tmp_path / "amazon-toys-and-games").mkdir()
        (tmp_path / "amazon-toys-and-games" / "Toys_and_Games_5.json").write_bytes(JSON)
        (tmp_path / "finefoods.txt").write_bytes(SNAP)
    stored = {"data_home": tmp_path, "download_if_missing": False}
    check(fetch_amazon_reviews("Toys_and_Games", **stored), TEXTS)
    # A line that names no field goes on with the text.
    check(fetch_amazon_fine_foods(**stored), [*TEXTS[:2], TEXTS[2].replace("\n", " ")])
    check(fetch_amazon_fine_foods(text="summary", **stored), ["", "New", "Tea, at last"])


def test_the_subset_of_the_paper_is_read_for_summaries(tmp_path):
    folder = tmp_path / "amazon-fine-foods-subset"
    folder.mkdir()
    (folder / "AmazonData.csv").write_text(CSV)
    stored = {"data_home": tmp_path, "download_if_missing": False}
    foods = fetch_amazon_fine_foods(text="summary", **stored)
    assert foods.reviews.tolist() == ["Hard, but good", ""]
    assert foods.X.data.tolist() == [4, 5]
    with pytest.raises(OSError, match=r"finefoods.txt.gz is not there, nor is"):
        fetch_amazon_fine_foods(**stored)


def test_the_real_files(shared_data):
    stored = {"data_home": shared_data, "download_if_missing": False}
    music = fetch_amazon_reviews("Musical_Instruments", **stored)
    assert (music.X.shape, music.X.nnz) == ((1429, 900), 10261)
    assert sum(not text for text in music.reviews) == 7
    foods = fetch_amazon_fine_foods(text="summary", **stored)
    assert (foods.X.shape, foods.X.nnz) == ((1644, 1733), 32836)


class Server(http.server.BaseHTTPRequestHandler):
    answers: list = []

    def do_GET(self):
        body = self.answers.pop(0)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def serve(monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(_amazon, "REVIEWS_URL", url)
    monkeypatch.setattr(_amazon, "FINE_FOODS_URL", url + "finefoods.txt.gz")
    yield Server.answers.extend
    server.shutdown()
    thread.join()
    server.server_close()
    assert not Server.answers


def test_downloads_are_checked_and_stored(tmp_path, serve):
    damaged = gzip.compress(SNAP)[:-9]
    serve([damaged, gzip.compress(SNAP), gzip.compress(JSON)])
    check(
        fetch_amazon_fine_foods(data_home=tmp_path, delay=0, text="summary"),
        ["", "New", "Tea, at last"],
    )
    check(fetch_amazon_reviews("Toys", data_home=tmp_path), TEXTS)
    check(fetch_amazon_reviews("Toys", data_home=tmp_path, download_if_missing=False), TEXTS)
    archive = tmp_path / "reviews_Toys_5.json.gz"
    archive.write_bytes(archive.read_bytes()[:-9])
    with pytest.raises(OSError, match="is damaged: it is no intact gzip archive"):
        fetch_amazon_reviews("Toys", data_home=tmp_path, download_if_missing=False)
    serve([gzip.compress(JSON)])
    with pytest.warns(UserWarning, match="downloading .* again: it is no intact gzip"):
        check(fetch_amazon_reviews("Toys", data_home=tmp_path), TEXTS)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_texts_with_blank_lines_and_lone_carriage_returns(tmp_path, packed, newline):
    content = SNAP.replace(b"Loose leaves.", b"Loose leaves.\n\nproduct/x\n\n\nBrewed\r\rlong.")
    content = content.replace(b"\n", newline.encode())
    if packed:
        (tmp_path / "finefoods.txt.gz").write_bytes(gzip.compress(content))
    else:
        (tmp_path / "finefoods.txt").write_bytes(content)
    foods = fetch_amazon_fine_foods(data_home=tmp_path, download_if_missing=False)
    check(foods, [*TEXTS[:2], "Loose leaves. product/x Brewed\r\rlong.  Slowly: they open."])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it has no reviews"),
        (b"review/score: 3.0\n\n", "a review has no user"),
        (SNAP.replace(b"product/productId", b"review/productId"), "has 'review/productId' twice"),
        (b"Hello\n", "begins with 'Hello' instead of a field"),
        (SNAP.replace(b"review/score: 5.0", b"review/score: many"), "could not convert"),
    ],
)
def test_other_content_is_an_error(tmp_path, content, message):
    (tmp_path / "finefoods.txt").write_bytes(content)
    with pytest.raises(OSError, match=f"does not hold the data as published: .*{message}"):
        fetch_amazon_fine_foods(data_home=tmp_path)
