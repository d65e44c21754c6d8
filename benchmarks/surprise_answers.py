"""Write down what Surprise answers on a small matrix, for tests/surprise_answers.json.

See README.md beside this file. Baselines are converged: Surprise's default of 10 sweeps is not.
"""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import surprise

OUT = Path(__file__).parents[1] / "tests" / "surprise_answers.json"
KNN = {
    "none": surprise.KNNBasic,
    "mean": surprise.KNNWithMeans,
    "zscore": surprise.KNNWithZScore,
    "baseline": surprise.KNNBaseline,
}
SIMILARITIES = ["cosine", "msd", "pearson", "pearson_baseline"]
# Neighbours, least neighbours, least common ratings.
LIMITS = [(40, 1, 1), (4, 1, 1), (4, 3, 4)]
BASELINES = {"n_epochs": 200}


def simulate(n_users=22, n_items=14, seed=0):
    """Whole stars of some of the pairs; one user and one item have a single rating."""
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=(n_users, 2)) @ rng.normal(size=(2, n_items))
    stars = 3.3 + rng.normal(size=(n_users, 1)) / 2 + rng.normal(size=n_items) / 2 + taste
    stars = np.clip(np.round(stars), 1, 5).astype(int)
    is_rated = rng.random(stars.shape) < 0.45
    is_rated[0], is_rated[:, 0] = False, False
    is_rated[0, 3] = is_rated[5, 0] = True
    return stars * is_rated


def answers(algorithm, trainset, shape):
    algorithm.fit(trainset)
    rated = [algorithm.predict(*pair, clip=False).est for pair in np.ndindex(shape)]
    return np.round(rated, 6).reshape(shape).tolist()


def main():
    X = simulate()
    users, items = X.nonzero()
    frame = pd.DataFrame({"user": users, "item": items, "rating": X[users, items]})
    reader = surprise.Reader(rating_scale=(1, 5))
    trainset = surprise.Dataset.load_from_df(frame, reader).build_full_trainset()
    knn = []
    for center, name, is_user_based, limits in product(KNN, SIMILARITIES, (True, False), LIMITS):
        k, min_k, min_support = limits
        similarity = {"name": name, "user_based": is_user_based, "min_support": min_support}
        options = {"k": k, "min_k": min_k, "sim_options": similarity, "verbose": False}
        algorithm = KNN[center](**options, bsl_options=BASELINES)
        knn.append(
            {
                "center": center,
                "similarity": name,
                "based_on": "user" if is_user_based else "item",
                "n_neighbors": k,
                "min_neighbors": min_k,
                "min_support": min_support,
                "ratings": answers(algorithm, trainset, X.shape),
            }
        )
    baseline = surprise.BaselineOnly(bsl_options=BASELINES, verbose=False)
    found = {
        "version": surprise.__version__,
        "X": X.tolist(),
        "knn": knn,
        "slope_one": answers(surprise.SlopeOne(), trainset, X.shape),
        "baseline": answers(baseline, trainset, X.shape),
    }
    OUT.write_text(json.dumps(found, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
