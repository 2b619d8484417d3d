"""The addresses under `/v1`: each file one noun of the product."""
