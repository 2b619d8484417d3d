"""The parts of `bench.datasets`."""
