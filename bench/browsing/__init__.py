"""What `bench.page` does in a browser."""
