"""What `bench.many_kinds` is made of: the photos and their collages, tags and their rivals, multi-label, heatmaps."""
