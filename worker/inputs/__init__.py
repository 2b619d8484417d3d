"""What jobs read: archives, folders, tables and addresses, item after item."""
