"""Where in the picture: tags, heatmaps, and checks of their quality."""
