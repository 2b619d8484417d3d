"""The workers, which do what rows ask for, and the dispatcher, which makes sure that no row is forgotten."""
