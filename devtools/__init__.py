"""What tests and benchmarks share: servers, journeys, generated pages. Not installed."""
