"""
Which item-item model?
======================

All of these score an item by a sum over what the user has chosen before. They differ in what they
keep for it: a weight for each pair of items, for the nearest pairs only, or factors of the items.
How good are they for what they weigh? Quality is that of users who were not in training, over five
folds; size is that of the pickled model, which is what is stored, shipped and loaded.
"""

import pickle

import matplotlib.pyplot as plt
from sklearn.base import clone

from skrec import EASE, GraphFilter, Popularity, RP3beta
from skrec.datasets import load_movielens_small
from skrec.metrics import ranking_scorer
from skrec.model_selection import compare_recommenders

# %%
# Films that somebody liked, and people who like at least five of them. Each model comes in a few
# sizes: how many neighbours an item keeps, or how many components. EASE has all pairs, and no
# choice; with ``method="primal"`` and ``store_rows=False`` it stores them, and none of the rows
# that it would be updated from.
likes = load_movielens_small().binarize(3.5).filter(min_items_per_user=5, min_users_per_item=5)
X = likes.X
families = {
    "Popularity": {"": Popularity()},
    "RP3beta": {f"{n} neighbours": RP3beta(n) for n in (5, 20, 100)},
    "GraphFilter": {f"{n} components": GraphFilter(n, linear_weight=0) for n in (5, 20, 80)},
    "EASE": {"": EASE(l2=150, method="primal", store_rows=False)},
}
models = {
    f"{family} {size}".strip(): model
    for family, sizes in families.items()
    for size, model in sizes.items()
}

# %%
# Each fold's users are served by models that never saw them.
table = compare_recommenders(models, X, scoring=ranking_scorer("ndcg@100"))
print(table)

# %%
# The line of a family goes from its smallest model to its largest.
quality = dict(zip(table["model"], table["mean"], strict=True))
megabytes = {name: len(pickle.dumps(clone(model).fit(X))) / 1e6 for name, model in models.items()}
plt.style.use("tableau-colorblind10")
fig, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
for family in families:
    names = [name for name in models if name.startswith(family)]
    x, y = [megabytes[name] for name in names], [quality[name] for name in names]
    ax.plot(x, y, "o-")
    ax.annotate(family, (x[-1], y[-1]), xytext=(6, 4), textcoords="offset points")
ax.set_xscale("log")
ax.set_xlabel("size of the stored model (MB)")
ax.set_ylabel("NDCG@100 of unseen users")
ax.margins(x=0.25, y=0.15)
ax.grid(alpha=0.3)
plt.show()

# %%
# Eighty components rank about as well as all pairs of items, in a twentieth of the room: on little
# data, most of what the weight of a single pair says is noise. Neighbours take up as little, and
# are looked up rather than computed: that counts where items are too many for all their pairs.
