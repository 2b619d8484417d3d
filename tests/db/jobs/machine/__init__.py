"""The job machine as Hypothesis plays it: what may be done, in any order, and what must hold after every deed.

A claim can be taken up for ever: whoever never acts again has crashed, whoever acts too late is a zombie. Rows that a
dispatcher has seen stay too, so it may act on what has long changed: two of them, or one that was paused. The
database's clock jumps to and fro; the time of a single lease passes by ageing it.
"""
