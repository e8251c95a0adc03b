"""Kinds of numbers that settings of several modules hold, with both ends of each.

An upper end is far above what any paper uses and far below what no machine ends: it
tells a slip of the keyboard, such as a batch of 10^9, from what somebody wants.
"""

from typing import Annotated

from ppcjax.fields.marks import Range

# What counts updates or photos: 10^9 updates of 10 ms take four months.
MOST = 10**9
LONGEST_SIDE = 2**14  # pixels that a network sees at a time, along a side

Seed = Annotated[int, Range(0)]  # as large as a number of 32 bits can be
Total = Annotated[int, Range(0, MOST)]  # where 0 has a meaning of its own
Updates = Annotated[int, Range(0, MOST), "updates"]
Interval = Annotated[int, Range(1, MOST), "updates"]
# How many there are of something that takes memory or time for each of them.
Count = Annotated[int, Range(1, 10**6)]
Batch = Annotated[int, Range(1, 2**16)]
Few = Annotated[int, Range(1, 1000)]
Side = Annotated[int, Range(8, LONGEST_SIDE), "pixels"]
Channels = Annotated[int, Range(1, 2**14), "channels"]
Block = Annotated[int, Range(1, 2**20)]  # of what is computed at a time
Gallery = Annotated[int, Range(0, 10**4)]

Share = Annotated[float, Range(0, 1)]
Weight = Annotated[float, Range(0, 10**4)]
Gain = Annotated[float, Range(above=0, most=10**4)]
Power = Annotated[float, Range(above=0, most=1000)]
Factor = Annotated[float, Range(above=0, most=64)]
# Exponentials of similarities over less than this are 0 or infinite.
Temperature = Annotated[float, Range(1e-3, 1000)]
Threshold = Annotated[float, Range(0, below=1)]
