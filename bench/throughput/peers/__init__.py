"""Who else classifies the files of a package's owner: a program each, `python -m bench.throughput.peers.NAME PACKAGE`.

Each loads the model once, reads lists of files from standard input, a line of JSON each, and answers each with the
seconds that it took. It ends with its input.
"""
