"""
Tune the penalty of EASE
========================

The penalty ``l2`` is the one parameter that EASE needs tuned, and a logarithmic grid does it.
The search is scikit-learn's: rows are users, so its folds are users that the model has not seen.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV, KFold, train_test_split

from skrec import EASE
from skrec.datasets import load_movielens_small
from skrec.metrics import ranking_scorer

# %%
# A fifth of the users is set aside for the end: the best of many scores is an optimistic one.
likes = load_movielens_small().binarize(3.5).filter(min_users_per_item=10, min_items_per_user=5)
train, test = train_test_split(likes.X, test_size=0.2, random_state=0)

grid = {"l2": np.logspace(1, 3.5, 6), "dropout": [0.0, 0.33]}
search = GridSearchCV(
    EASE(),
    grid,
    scoring=ranking_scorer("ndcg@100"),
    cv=KFold(5, shuffle=True, random_state=0),
    n_jobs=2,
)
search.fit(train)
print("best parameters:", {name: float(value) for name, value in search.best_params_.items()})
print(f"NDCG@100: {search.best_score_:.3f} in the search, {search.score(test):.3f} on test users")

# %%
# The optimum is flat: half or twice the best penalty costs little, ten times does. The bands are
# standard errors over the five folds.
results = search.cv_results_
plt.style.use("tableau-colorblind10")
fig, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for dropout, marker in zip(grid["dropout"], "os", strict=True):
    at = results["param_dropout"] == dropout
    l2 = results["param_l2"][at].astype(float)
    mean = results["mean_test_score"][at]
    standard_error = results["std_test_score"][at] / np.sqrt(search.n_splits_ - 1)
    (line,) = ax.plot(l2, mean, marker=marker, label=f"dropout={dropout:g}")
    ax.fill_between(
        l2, mean - standard_error, mean + standard_error, color=line.get_color(), alpha=0.2
    )
ax.set(xscale="log", xlabel="l2", ylabel="NDCG@100 on unseen users", title="EASE")
ax.legend()
ax.grid(alpha=0.3)
plt.show()
