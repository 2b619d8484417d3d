"""The parts of `bench.hosts`: a network of namespaces, and programs on its hosts."""
