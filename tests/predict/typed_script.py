"""A script of a user, in strict mode."""

from pathlib import Path

import numpy as np

import ppcjax
from ppcjax import fewshot

predictor = ppcjax.load("runs/x", threshold=0.5)
one = predictor.predict("photo.jpg", tags=["dog"])
print(one.mask.shape, one.scores.max(), one.tags, predictor.classes)
many = predictor.predict([Path("a.jpg"), Path("b.jpg")])
for found in many:
    print(found.mask.dtype)
streamed = predictor.predict(path for path in Path("photos").iterdir())
print(streamed[0].tags)

photo = np.zeros((8, 8, 3), np.uint8)
mask = np.zeros((8, 8), np.bool_)
learnt = ppcjax.fewshot([photo], [mask], names=["dog"])
also = fewshot.fit(["a.jpg"], ["a.png"], run=fewshot.untrained({"name": "x"}))
also.save("dog.npz")
again = fewshot.load("dog.npz")
labels = again.predict(photo)
print(labels.sum(), again.segment([photo])[0].tags, again.classes)

scores = ppcjax.score("pred", "truth", classes=["dog"])
print(scores.mean_iou, scores.classes["dog"]["iou"], scores.as_text())
for name, iou in scores.worst(3):
    print(name, iou)
try:
    ppcjax.load("nothing")
except ppcjax.UserError as error:
    print(error, ppcjax.__version__)
