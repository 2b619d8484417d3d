"""The parts of `bench.training`: lessons, the notebook as peer, and our trainings."""
