"""The front: `/v1`, the documentation and the page. Talks HTTP and rows; knows no torch and no worker."""
