"""Where in the picture: tags, heatmaps, and whether they can be believed."""
