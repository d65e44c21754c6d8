"""
Predict ratings with scikit-learn's own tools
=============================================

With ``RatingRegressor`` a rating is a sample: a row holds the ids of a user and a movie, and ``y``
the stars. Splitters then cut the ratings instead of the users, and scikit-learn's scores, curves
and searches apply as they are.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import (
    KFold,
    LearningCurveDisplay,
    cross_validate,
    train_test_split,
)

from skrec import PMF, BiasBaseline, RatingRegressor
from skrec.datasets import load_movielens_small
from skrec.inspection import (
    ErrorByHistoryDisplay,
    RatingCalibrationDisplay,
    RatingPredictionDisplay,
)

# %%
# A table of ratings, as it comes from a database. Ids may be of any kind, in any order.
movielens = load_movielens_small()
users, movies = movielens.X.tocoo().coords
pairs = pd.DataFrame({"user": movielens.user_ids[users], "movie": movielens.item_ids[movies]})
stars = movielens.X.data
print(pairs.assign(stars=stars).head(3))

# %%
# Five folds of ratings. The errors are in stars. Beside matrix factorisation stand the mean of all
# ratings, and the offsets of users and movies alone.
model = RatingRegressor(PMF(random_state=0))
models = {
    "mean": DummyRegressor(),
    "offsets": RatingRegressor(BiasBaseline()),
    "PMF": model,
}
folds = KFold(5, shuffle=True, random_state=0)
scoring = ["neg_root_mean_squared_error", "neg_mean_absolute_error"]
for name, regressor in models.items():
    scores = cross_validate(regressor, pairs, stars, cv=folds, scoring=scoring)
    rmse, mae = (-scores[f"test_{metric}"].mean() for metric in scoring)
    print(f"{name:7s}  RMSE {rmse:.3f}  MAE {mae:.3f}")

# %%
# More ratings help, and have not stopped helping at the end of the curve.
plt.style.use("tableau-colorblind10")
fig, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
LearningCurveDisplay.from_estimator(
    model,
    pairs,
    stars,
    cv=folds,
    train_sizes=np.geomspace(0.03, 1, 6),
    scoring=scoring[0],
    shuffle=True,
    random_state=0,
    score_type="test",
    score_name="RMSE",
    negate_score=True,
    line_kw={"marker": "o"},
    ax=ax,
)
ax.set(
    xscale="linear", xlabel="ratings in training", ylabel="RMSE in stars ± deviation over folds"
)
ax.get_legend().remove()
ax.grid(alpha=0.3)
plt.show()

# %%
# Where are the errors? The boxes rise less than the diagonal, as those of every model that
# minimises squared errors: it plays safe, and most of all where ratings are low and rare. Movies
# with few ratings in training are the harder ones. The model knows: its standard deviations are
# as large as its errors.
train_pairs, test_pairs, train_stars, test_stars = train_test_split(
    pairs, stars, test_size=0.2, random_state=0
)
model.fit(train_pairs, train_stars)
fig, (top, middle, bottom) = plt.subplots(3, 1, figsize=(6.5, 12), layout="constrained")
RatingPredictionDisplay.from_estimator(model, test_pairs, test_stars, ax=top)
ErrorByHistoryDisplay.from_estimator(model, test_pairs, test_stars, by="item", ax=middle)
middle.tick_params(axis="x", rotation=30)
RatingCalibrationDisplay.from_estimator(model, test_pairs, test_stars, ax=bottom)
plt.show()

# %%
# A user and a movie that nobody has heard of are no error: the model answers by what it knows
# without them, and is far less sure of it.
stars, deviation = model.predict(pd.DataFrame({"user": [-1], "movie": [-1]}), return_std=True)
print(stars.round(2), deviation.round(2))
