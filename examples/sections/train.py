# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains on package descriptions as params.yaml says and writes model/model.json.

python3 train.py [section|role [DIRECTORY]]
"""
import functools
import json
import os
import sys

import yaml
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier

import data
from scorer import words


def rounded(x):
    return float(f"{x:.6g}")


def main():
    target = sys.argv[1] if len(sys.argv) > 1 else "section"
    out = sys.argv[2] if len(sys.argv) > 2 else "model"
    with open("params.yaml") as f:
        params = yaml.safe_load(f)
    rows, _ = data.load(target)
    # the first line once more on its own: queries look like it
    texts = [text for description, _ in rows for text in (description, description.split("\n")[0])]
    labels = [label for _, label in rows for _ in range(2)]
    tfidf = TfidfVectorizer(
        analyzer=functools.partial(words, strip_accents=params["strip_accents"]),
        min_df=params["min_df"],
        sublinear_tf=True,
    )
    matrix = tfidf.fit_transform(texts)
    classifier = SGDClassifier(loss="log_loss", alpha=params["alpha"], max_iter=50, random_state=params["seed"])
    classifier.fit(matrix, labels)
    terms = tfidf.get_feature_names_out()
    model = {
        "target": target,
        "params": params,
        "classes": list(classifier.classes_),
        "intercept": [rounded(x) for x in classifier.intercept_],
        "idf": {term: rounded(x) for term, x in zip(terms, tfidf.idf_)},
        "weights": {term: [rounded(x) for x in column] for term, column in zip(terms, classifier.coef_.T)},
    }
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "model.json"), "w") as f:
        json.dump(model, f, ensure_ascii=False, separators=(",", ":"))
    print(f"{len(rows)} descriptions, {len(terms)} terms, {len(model['classes'])} classes", file=sys.stderr)


main()
