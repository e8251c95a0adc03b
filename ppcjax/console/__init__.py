"""What a person sees while a program works.

screen     lines, and the one bar: a row for each thing in progress
loops      how far a loop is
compiling  a word while a program is compiled, and the time that this took
allocator  memory in huge pages, where that makes a step faster
memory     lack of memory, in one line
caches     folder of what can be made again
raw        what libraries write past Python, kept off the terminal
"""
