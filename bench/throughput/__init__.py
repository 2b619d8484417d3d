"""The parts of `bench.batches`, one module each, and what they share. Each part starts a service of its own."""
