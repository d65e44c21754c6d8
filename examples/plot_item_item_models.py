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
import numpy as np
from sklearn.base import clone

from skrec import EASE, SANSA, SLIM, GraphFilter, ItemKNN, Popularity, RP3beta
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
    "ItemKNN": {f"{n} neighbours": ItemKNN(n) for n in (5, 20, 100)},
    "RP3beta": {f"{n} neighbours": RP3beta(n) for n in (5, 20, 100)},
    "SLIM": {f"l1={l1}": SLIM(l1, 50) for l1 in (4, 2, 1)},
    "SANSA": {f"density {d:g}": SANSA(150, density=d) for d in (0.005, 0.01, 0.02)},
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
    ax.plot(x, y, "o-", label=family)
ax.set_xscale("log")
ax.set_xlabel("size of the stored model (MB)")
ax.set_ylabel("NDCG@100 of unseen users")
ax.legend(loc="lower right")
ax.grid(alpha=0.3)
plt.show()

# %%
# SLIM ranks as well as EASE with a tenth of its size, SANSA with an eighth, and eighty components
# of a graph filter take a twentieth. On little data, most of what the weight of a single pair says
# is noise. Neighbours are below them at the same size, and are fitted in a moment.

# %%
# SANSA approximates EASE: the fewer entries it keeps, the further its scores are from those of
# EASE, and with all of them they are equal to rounding. Ranking bears more of it than the scores.
exact = EASE(150).fit(X).predict(X)
densities = [0.002, 0.005, 0.01, 0.02, 0.04, 1]
errors = []
for density in densities:
    difference = SANSA(150, density=density).fit(X).predict(X) - exact
    errors.append(np.linalg.norm(difference) / np.linalg.norm(exact))
    print(f"density {density:<6} relative error {errors[-1]:.1e}")
fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
ax.plot(densities[:-1], errors[:-1], "o-")
ax.set(xscale="log", ylim=(0, None), xlabel="density", ylabel="error relative to EASE's scores")
ax.set_title(f"SANSA; at density 1 the error is {errors[-1]:.0e}")
ax.grid(alpha=0.3)
plt.show()
