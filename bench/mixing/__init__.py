"""The parts of `bench.many_kinds`: photos and collages, tags and their peers, multi-label, heatmaps."""
