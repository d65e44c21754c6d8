"""
Items nobody has seen yet
=========================

A model of choices cannot say who will like an item that nobody has chosen. What is known of the
item can: ``EASE(item_features=...)`` learns from features of the items beside the choices, and
scores new items by them.
"""

from importlib import resources

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import sparse

from skrec import EASE, Popularity, explain, similar_items
from skrec.datasets import load_movielens_small
from skrec.metrics import ndcg

# %%
# Movies have genres, and a year in their title. Each genre and each decade is a column, with a
# row for each item.
likes = load_movielens_small().binarize(3.5).filter(min_users_per_item=10, min_items_per_user=5)
source = resources.files("skrec.datasets") / "data/ml-latest-small"
movies = pd.read_csv(source / "movies.csv.gz").set_index("movieId").loc[likes.item_ids]
genres = movies["genres"].str.get_dummies("|")
decades = pd.get_dummies(movies["title"].str.extract(r"\((\d{3})\d\)")[0] + "0s")
features = {"genres": genres, "genres and decades": genres.join(decades)}

# %%
# A tenth of the items is taken from everybody's history, as if they came out tomorrow. A quarter
# of the users is unseen in training: the models know their other likes, and order the new items
# for them.
rng = np.random.default_rng(0)
new = np.sort(rng.choice(likes.shape[1], likes.shape[1] // 10, replace=False))
is_new = np.isin(np.arange(likes.shape[1]), new)
before, after = likes.where(~is_new[likes.indices]), likes.where(is_new[likes.indices])
users = rng.permutation(likes.shape[0])
train, test = users[150:], users[:150]


def quality(model):
    lists = model.fit(before[train]).recommend(before[test], k=20, items=new)
    return ndcg(lists, after[test], k=20)


found = {"without features": quality(EASE(l2=150))}
for name, columns in features.items():
    for method in ("collective", "additive"):
        model = EASE(l2=150, item_features=columns, feature_method=method, feature_weight=0.5)
        found[f"{name}, {method}"] = quality(model)

# What nobody knows on the first day: how popular each of them will become.
best_sellers = Popularity().fit(likes[train]).recommend(before[test], k=20, items=new)
found["popularity in hindsight"] = ndcg(best_sellers, after[test], k=20)

# %%
# Without features the new items come in the order of the catalogue, in which old favourites stand
# first. Genres tell who likes what, decades what is watched at all. How popular the items became
# is better than either, and nobody knows it on the first day.
plt.style.use("tableau-colorblind10")
fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
names = list(found)[::-1]
print("\n".join(f"{name:30} {value:.3f}" for name, value in found.items()))
bars = ax.barh(names, [found[name] for name in names])
ax.bar_label(bars, fmt="%.3f", padding=3)
ax.margins(x=0.12)
ax.set(xlabel="NDCG@20 among the new items, of unseen users", title="Items that nobody has chosen")
plt.show()

# %%
# New items get scores that are lower than those of items with a history: there is less to go by.
# Give them a list of their own with ``items=``, as above, rather than to wait for them in a
# common one.
model.fit(before[train])
common = model.recommend(before[test], k=20)
share = np.isin(common, new).mean()
print(f"{share:.1%} of the places of a common list go to new items, which are 10% of all")

# %%
# A linear model has reasons, here too: what a new item is like, and which of a user's likes
# speak for it.
item = new[np.argmax(np.diff(sparse.csc_array(after).indptr)[new])]
like_it = similar_items(model, likes.item_ids[[item]], k=3, data=likes)
print(like_it.to_string(index=False))
fan = test[after[test][:, [item]].toarray().ravel().argmax()]
reasons = explain(model, before[[fan]], items=likes.item_ids[[item]])
print(reasons.head(3).to_string(index=False))
