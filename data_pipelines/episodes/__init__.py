"""Few-shot episodes: which photos make one, their arrays, and masked examples.

plans       which photos make which episode
arrays      photos on canvases, and masks as evidence
training    endless batches of drawn episodes
examples    the episodes of a plan, to evaluate
marks       strokes and boxes in the place of masks
folds       which classes are held out
supports    masked example photos of a user
drawn       their masks, scribbles and annotations
boxes       their table of boxes
"""
