"""
How much history does a new user need?
======================================

A new user is a new row: no refit, whatever its length. Here test users reveal their likes one
after the other, and the model that never saw these users recommends from what is known so far.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from skrec import EASE, Popularity
from skrec.datasets import load_movielens_small
from skrec.metrics import ndcg, standard_error
from skrec.model_selection import fold_in_split

# %%
# Test users have at least 40 likes. Of these a fifth is hidden for good, and of the others at
# most 32 are revealed, in random order.
likes = load_movielens_small().binarize(3.5).filter(min_users_per_item=5)
n_likes = np.diff(likes.X.indptr)
talkative = np.flatnonzero(n_likes >= 40)
train_users, test_users = train_test_split(talkative, test_size=0.5, random_state=0)
train_users = np.union1d(train_users, np.flatnonzero(n_likes < 40))
models = {
    "EASE": EASE(l2=150).fit(likes.X[train_users]),
    "Popularity": Popularity().fit(likes.X[train_users]),
}
known, held_out = fold_in_split(likes.X[test_users], random_state=0)


def reveal(X, n_items, seed=0):
    """Keep `n_items` random entries of each row, among them those of any smaller `n_items`."""
    X = X.copy()
    order = np.random.default_rng(seed).random(X.nnz)
    for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        X.data[start:stop][order[start:stop].argsort()[n_items:]] = 0
    X.eliminate_zeros()
    return X


# %%
# The hidden likes to find are the same throughout. What is known is not recommended again, which
# is all that Popularity learns from it. The first few likes are worth less than knowing what
# everybody likes; after those the history wins.
lengths = [1, 2, 4, 8, 16, 32]
plt.style.use("tableau-colorblind10")
fig, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for (name, model), marker in zip(models.items(), "os", strict=True):
    values = [
        ndcg(model.recommend(reveal(known, n), k=100), held_out, per_user=True) for n in lengths
    ]
    mean = np.array([np.nanmean(value) for value in values])
    error = np.array([standard_error(value) for value in values])
    print(name, mean.round(3))
    (line,) = ax.plot(lengths, mean, marker=marker, label=name)
    ax.fill_between(lengths, mean - error, mean + error, color=line.get_color(), alpha=0.2)
ax.set_xscale("log", base=2)
ax.set_xticks(lengths, lengths)
ax.set_ylim(bottom=0)
ax.set_xlabel("known likes of the new user")
ax.set_ylabel("NDCG@100 on unseen users ± standard error")
ax.legend()
ax.grid(alpha=0.3)
plt.show()
