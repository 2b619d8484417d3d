"""What `bench.faults` is made of: the programs under fault, the load on them, the faults, and the checker."""
