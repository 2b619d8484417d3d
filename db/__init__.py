"""The schema the programs agree on: tables, transactions, named queries, migrations. Knows no torch, no HTTP."""
