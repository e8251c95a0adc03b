"""`ppcjax label`: marks on a few photos, masks of all the rest, on a page.

journal    what was done, kept before it is acknowledged
actions    what may be asked for, checked
state      what the actions make: a fold, without files
marks      strokes and boxes as pixels
album      the photos: sizes, thumbnails, reduced ones
store      masks: accepted, proposed and composed
looks      features of photos, in the background
learning   a fit on all that is marked, scores of a photo
sums       what a regression has learnt of them, added up
study      which photos it learns from anew
warming    what the first proposal needs is compiled beforehand
worker     the thread that proposes
session    all of it together
found      masks and tags that the user has already
exporting  masks for other tools
trainee    a training in its folder, whichever server began it
lessons    how a training is typed
training   a segmenter on the accepted masks, or PPC on tags
view       what the page is told
guard      who may ask
app        the addresses
serving    the server
"""
