"""
More varied lists at little cost
================================

The ten best films for a user are often ten of a kind. :class:`~skrec.Reranker` takes a model's
best candidates, and always puts that one next which is best and unlike those above it. How much
variety a list gains, and what it costs in accuracy, is one parameter, which a search can choose.
"""

from importlib import resources

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import GridSearchCV, KFold

from skrec import EASE, Reranker
from skrec.datasets import load_movielens_small
from skrec.metrics import ranking_scorer

likes = load_movielens_small().binarize(3.5).filter(min_users_per_item=5, min_items_per_user=5)
source = resources.files("skrec.datasets") / "data/ml-latest-small"
movies = pd.read_csv(source / "movies.csv.gz").set_index("movieId").loc[likes.item_ids]
genres = movies["genres"].str.get_dummies("|")

# %%
# Two films are as unlike as 1 minus the cosine of their genres, for the lists and for the metric.
# Of all settings that cost less than 3 % of the best accuracy, the search takes the most diverse.
scoring = ranking_scorer(["ndcg@10", "diversity@10", "novelty@10"], item_features=genres)


def most_diverse(results, loss=0.03):
    accuracy = results["mean_test_ndcg@10"]
    is_good = accuracy >= (1 - loss) * accuracy.max()
    return int(np.argmax(np.where(is_good, results["mean_test_diversity@10"], -1)))


grids = {
    "diversity": [0, 0.2, 0.5, 1, 2, 4],
    "popularity_discount": [0, 0.1, 0.2, 0.4, 0.8],
    "max_per_category": [None, 6, 4, 3, 2],
}
searches = {}
for knob, values in grids.items():
    searches[knob] = GridSearchCV(
        Reranker(EASE(l2=200), item_features=genres),
        {knob: values},
        scoring=scoring,
        refit=most_diverse,
        cv=KFold(3, shuffle=True, random_state=0),
    ).fit(likes)
    results = searches[knob].cv_results_
    for value, *scores in zip(
        values, *(results[f"mean_test_{name}"] for name in scoring.metrics), strict=True
    ):
        accuracy, diversity, novelty = scores
        print(
            f"{knob}={value}: NDCG {accuracy:.3f}, diversity {diversity:.3f}, {novelty:.2f} bits"
        )

# %%
# Up is more accurate, right is more varied, or rarer. Each parameter does what it says, and not
# what another does: a discount of popularity makes lists no more varied in genres. Small values
# cost nothing here.
plt.style.use("tableau-colorblind10")
fig, axes = plt.subplots(1, 2, figsize=(9, 4.5), sharey=True, layout="constrained")
labels = {"diversity@10": "diversity@10 (genres)", "novelty@10": "novelty@10 (bits)"}
for ax, (metric, label) in zip(axes, labels.items(), strict=True):
    for marker, (knob, search) in zip("os^", searches.items(), strict=True):
        results = search.cv_results_
        across, up = results[f"mean_test_{metric}"], results["mean_test_ndcg@10"]
        ax.plot(across, up, f"{marker}-", label=knob, markersize=5)
        chosen = search.best_index_
        ax.plot(across[chosen], up[chosen], marker, color="k", fillstyle="none", markersize=11)
    ax.set_xlabel(label)
    ax.grid(alpha=0.3)
axes[0].set_ylabel("NDCG@10 on unseen users")
axes[0].legend(loc="lower left")
plt.show()

# %%
# What the search has chosen for ``diversity`` (circled above) makes of one user's list:
model = searches["diversity"].best_estimator_
user = likes[[347]]
for name, recommender in (("EASE", model.estimator_), ("Reranker", model)):
    found = movies.iloc[recommender.recommend(user, k=6)[0]]
    print(
        f"{name}:", *(f"  {film.title} [{film.genres}]" for film in found.itertuples()), sep="\n"
    )
