"""How pictures and models come in: archives, folders, addresses, tables of other tools, packages."""
