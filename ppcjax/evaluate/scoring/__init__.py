"""How well two sets of masks agree: `ppcjax score`, and `ppcjax.score` in Python.

folders    what masks lie in a folder, of any layout that the data side reads
names      the classes of two folders, matched by name
pairs      which mask of one folder is whose of the other
comparing  pairs of masks in common class ids, one at a time
boundary   bands along contours, and contours that match
counting   counts of a photo that add up, and the figures that they come to
result     figures as Python has them, as files and as text
"""
