"""
From a table of reviews to topics, and to words nobody has written
==================================================================

``DeepLTRS`` learns from ratings and from the texts that were written with them. Here a data frame
with a column of texts becomes a model whose vectorizer and parameters are searched together, and
which says what a user would write about an item.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV, train_test_split

from skrec import BiasBaseline, DeepLTRS, Interactions
from skrec.datasets import make_ratings_reviews
from skrec.inspection import TopicDisplay
from skrec.metrics import rating_scorer

# %%
# A table as it comes from a shop: who rated what, how, and what was written. These are simulated:
# two groups of users rate two groups of items from 1 to 4, and each pair of groups has a topic of
# its own. What real texts are worth stands in :doc:`/reviews`.
table = make_ratings_reviews(300, 150, sparsity=0.95, n_words=40, random_state=0).to_frame(
    "pandas"
)
table["user"] = "user " + table["user"].astype(str)
table["item"] = "item " + table["item"].astype(str)
print(table.assign(review=table["review"].str[:48]).head(4).to_string(index=False))

# %%
# The columns are named once. The texts go where the ratings go: whatever cuts users, or hides
# ratings, takes their texts along.
data = Interactions.from_frame(table, value="value", review="review")
print(data)

# %%
# The vectorizer is a parameter of the model, and has its own nested in it, so that one search goes
# over both. It is fitted within each fold, on the texts of the training users. One of
# ``TfidfVectorizer(norm=None)``, or a Pipeline from texts to weights, would do as well.
model = DeepLTRS(
    5,
    n_topics=4,
    hidden_layer_sizes=(50,),
    topic_hidden_size=20,
    vectorizer=CountVectorizer(),
    max_iter=15,
    random_state=0,
)
grid = {"vectorizer__stop_words": [None, "english"], "n_components": [2, 5]}
train, test = train_test_split(np.arange(data.shape[0]), test_size=0.3, random_state=0)
search = GridSearchCV(model, grid, cv=2).fit(data[train])
for parameters, score in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
):
    print(f"RMSE {-score:.3f} {parameters}")

# %%
# Do texts help? A matrix has none, ``Interactions`` do. Of the test users a part of the ratings is
# hidden, with its texts.
best = search.best_estimator_
scorer = rating_scorer()
ratings_alone = data.X
print(f"offsets      RMSE {-scorer(BiasBaseline().fit(data[train]), data[test]):.3f}")
without = clone(best).fit(ratings_alone[train])
print(f"without text RMSE {-scorer(without, ratings_alone[test]):.3f}")
print(f"with text    RMSE {-scorer(best, data[test]):.3f}")

# %%
# What the topics are about: to be read, without the words that they share.
plt.style.use("tableau-colorblind10")
best.set_params(vectorizer__stop_words="english").fit(data)
display = TopicDisplay.from_estimator(best, n_words=7)
plt.show()

# %%
# And what a user would write of items that she has not rated, beside the rating that she would
# give.
user = data[data.rows(["user 3"])]
unrated = np.setdiff1d(np.arange(data.shape[1]), user.indices)[:4]
words = best.predict_words(user, items=unrated, n_words=5)
for item, rating, written in zip(unrated, best.predict(user)[0, unrated], words[0], strict=True):
    print(f"{data.item_ids[item]:9} {rating:.1f}  {' '.join(written)}")
