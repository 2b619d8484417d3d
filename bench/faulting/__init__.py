"""The parts of `bench.faults`: programs under fault, load, faults, and checker."""
