"""Train the model that `code/score.py` serves. The same versions give the same bytes.

Run it with the packages of requirements.txt: python train.py
"""

from __future__ import annotations

from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

MODEL = Path(__file__).parent / "model" / "iris.joblib"


def main() -> None:
    """Fit a logistic regression to the 150 flowers of the iris data set and save it with the species' names."""
    iris = load_iris()
    classifier = LogisticRegression(max_iter=1000).fit(iris.data, iris.target_names[iris.target])
    MODEL.parent.mkdir(exist_ok=True)
    joblib.dump(classifier, MODEL)


if __name__ == "__main__":
    main()
