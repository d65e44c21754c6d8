"""
Watch an autoencoder train
==========================

How many epochs, and how much regularisation? Two pictures for a variational autoencoder on a few
hundred users: the learning curve behind early stopping, and what the weight of the KL divergence
does to it.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import sparse

from skrec import EASE, MultVAE
from skrec.datasets import load_movielens_small
from skrec.inspection import TrainingCurveDisplay
from skrec.metrics import ndcg
from skrec.model_selection import StrongGeneralizationSplit

# %%
# A fifth of the users is for testing. Early stopping takes its own users out of the training data.
likes = load_movielens_small().binarize(3.5).filter(min_users_per_item=5, min_items_per_user=5)
split = StrongGeneralizationSplit(n_validation=0, n_test=0.2, random_state=0)
parts = split.partition(likes.X)


def test_ndcg(model):
    return ndcg(model.recommend(parts.test_fold_in, k=100), parts.test_held_out)


# %%
# With ``n_iter_no_change=None`` training goes through all epochs, and the weights of the best one
# are kept all the same.
betas = [0.0, 0.2, 1.0]
models = [
    MultVAE(
        100,
        hidden_layer_sizes=(),
        beta=beta,
        n_annealing_updates=500,
        batch_size=50,
        max_iter=80,
        n_iter_no_change=None,
        random_state=0,
    ).fit(parts.train)
    for beta in betas
]
for beta, model in zip(betas, models, strict=True):
    print(f"beta={beta}: epoch {model.best_iteration_}, test NDCG@100 {test_ndcg(model):.3f}")
print(f"EASE: test NDCG@100 {test_ndcg(EASE(l2=150).fit(parts.train)):.3f}")

# %%
# Without a KL divergence the score falls once the model knows its training users too well; with
# one it keeps. The users held out are some fifty: the curves carry noise of the size of their
# wiggles, and all carry the same. The loss, which includes the divergence, says nothing of it.
# Dots are the epochs that were kept.
plt.style.use("tableau-colorblind10")
fig, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
for beta, model in zip(betas, models, strict=True):
    for ax, curve in zip(axes, ["score", "loss"], strict=True):
        TrainingCurveDisplay.from_estimator(model, curve=curve, name=f"beta={beta}", ax=ax)
axes[0].set_ylim(0, None)
plt.show()

# %%
# The codes of users are a map of tastes. Here is the mean code of those who like one film, and the
# films whose lovers are nearest to them.
model = models[1]
popular = np.argsort(-np.diff(parts.train.tocsc().indptr))[:200]
codes = model.transform(sparse.csr_array(parts.train))
lovers = np.array([codes[parts.train[:, [film]].toarray()[:, 0] > 0].mean(0) for film in popular])
lovers -= lovers.mean(axis=0)
lovers /= np.linalg.norm(lovers, axis=1, keepdims=True)
titles = likes.item_names[parts.kept_items[popular]]
for film in (3, 10, 40):
    nearest = np.argsort(-lovers @ lovers[film])[1:4]
    print(titles[film], "->", "; ".join(titles[nearest]))
