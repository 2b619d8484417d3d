"""Benchmarks: each runs a peer and Tsukiji on the same files in the same run, and prints ratios.

`python -m bench.NAME [--data FOLDER ...] [--weights FILE] [--quick] [--json]`
"""
