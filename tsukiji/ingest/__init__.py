"""Input from outside: archives, folders, web addresses, tables of other tools, model packages."""
