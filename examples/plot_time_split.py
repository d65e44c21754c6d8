"""
What a random split flatters
============================

A recommender predicts what comes next. A test that hides *random* ratings lets it see the user's
later ones, and other users' later ones too. How much better does that make it look? The same four
models are tested in three ways, each a bit closer to what they would meet.
"""

import matplotlib.pyplot as plt
import numpy as np

from skrec import EASE, MultDAE, Popularity, RP3beta
from skrec.datasets import load_movielens_small
from skrec.metrics import ranking_scorer
from skrec.model_selection import TimeSplit, compare_recommenders

likes = load_movielens_small().binarize(3.5)
likes = likes.filter(min_users_per_item=5, min_items_per_user=5)
models = {
    "Popularity": Popularity(),
    "RP3beta": RP3beta(),
    "EASE": EASE(l2=100),
    "MultDAE": MultDAE(learning_rate=0.01, batch_size=100, max_iter=12, random_state=0),
}

# %%
# The splits
# ----------
#
# **Random**: of each test user, a fifth of the likes is hidden, drawn at random.
#
# **The user's last**: the latest fifth is hidden. The model sees no future of the *user*, but the
# users that it was trained on go on after that.
#
# **The last years**: everything after a moment is hidden, from everybody, as when a model goes to
# work. Three periods of a tenth of the likes each, and those users of whom something is known
# before.
comparisons = {
    "random fifth\nof each user": compare_recommenders(
        models, likes, cv=3, scoring=ranking_scorer("ndcg@20")
    ),
    "latest fifth\nof each user": compare_recommenders(
        models, likes, cv=3, scoring=ranking_scorer("ndcg@20", fold_in="last-20%")
    ),
    "everything after\na moment": compare_recommenders(
        models, likes, cv=TimeSplit(3, 0.1, min_items=1), scoring="ndcg@20"
    ),
}
for name, table in comparisons.items():
    print(name.replace("\n", " "), table, sep="\n", end="\n\n")

# %%
# The same models, and other figures: what a random split promises is not kept. The order of the
# models may change as well, and it is the order that decides what is deployed. (The three tests
# differ in how many likes they hide, and of whom. Within one of them figures can be compared, and
# from one to the next the ratio to that of ``Popularity``.)
plt.style.use("tableau-colorblind10")
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
at = np.arange(len(comparisons))
for number, model in enumerate(models):
    rows = [np.flatnonzero(table["model"] == model)[0] for table in comparisons.values()]
    mean, error = (
        np.array([table[name][row] for table, row in zip(comparisons.values(), rows, strict=True)])
        for name in ("mean", "standard_error")
    )
    if model == "Popularity":
        popularity = mean
    axes[0].errorbar(at + 0.05 * number, mean, yerr=error, fmt="o-", capsize=3, label=model)
    axes[1].plot(at, mean / popularity, "o-", label=model)
for ax, title in zip(axes, ["NDCG@20 ± standard error", "NDCG@20 / Popularity's"], strict=True):
    ax.set_xticks(at, list(comparisons))
    ax.set_title(title, fontsize="medium")
    ax.set_ylim(bottom=0)
    ax.grid(axis="y", alpha=0.3)
axes[0].legend()
plt.show()

# %%
# Most users of this data rate once, for an evening, and never come back: there are few to ask
# about the last years, which the wide bars show, and most who rate then are new.
for part in TimeSplit(3, 0.1).partitions(likes):
    tested = np.diff(part.held_out.indptr) > 0
    known = np.diff(part.fold_in.indptr) > 0
    print(f"{tested.sum()} users in the period, {(tested & known).sum()} of them known before")

# %%
# With ``TimeSplit(3, 0.1)`` all of them count. Of a new user nothing is known, and a model that
# has learned items' relations only has nothing to go by: its list is no better than any other.
# A model with a bias to what is popular, or popularity itself, is the better answer for them.
table = compare_recommenders(models, likes, cv=TimeSplit(3, 0.1), scoring="ndcg@20")
print(table)
ax = table.plot()
plt.show()
