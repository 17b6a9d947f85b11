# SPDX-License-Identifier: GPL-3.0-or-later
"""The model as plain JSON and how it scores a text. Needs nothing but Python: the app and predict.py share it."""
import hashlib
import json
import math
import os
import re
import unicodedata

WORD = re.compile(r"\w\w+")


def words(text, strip_accents):
    text = text.lower()
    if strip_accents:
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return WORD.findall(text)


class Scorer:
    def __init__(self, directory):
        with open(os.path.join(directory, "model.json"), "rb") as f:
            content = f.read()
        self.id = hashlib.sha256(content).hexdigest()[:12]
        self.model = json.loads(content)

    def scores(self, text):
        """{class: probability}, each between 0 and 1, summing to 1."""
        model = self.model
        counts = {}
        for word in words(text, model["params"]["strip_accents"]):
            if word in model["weights"]:
                counts[word] = counts.get(word, 0) + 1
        tfidf = {word: (1 + math.log(n)) * model["idf"][word] for word, n in counts.items()}
        norm = math.sqrt(sum(x * x for x in tfidf.values())) or 1.0
        sums = list(model["intercept"])
        for word, x in tfidf.items():
            for i, weight in enumerate(model["weights"][word]):
                sums[i] += weight * x / norm
        # one classifier a class against the rest, as scikit-learn's: each one's sigmoid, then normalised
        odds = [1 / (1 + math.exp(-max(-500.0, min(500.0, s)))) for s in sums]
        total = sum(odds) or 1.0
        return {name: p / total for name, p in zip(model["classes"], odds)}

    def predict(self, text):
        """(class, probability, all scores); of equal ones the first by name."""
        scores = self.scores(text)
        best = max(scores, key=scores.get)
        return best, scores[best], scores
