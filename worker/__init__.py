"""The workers: programs that do what the rows ask for, and the dispatcher that sees to it that none is forgotten."""
