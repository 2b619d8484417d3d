"""The database schema shared by all programs: tables, transactions, queries, migrations. No torch, no HTTP."""
