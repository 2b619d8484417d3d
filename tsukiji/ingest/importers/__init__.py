"""Parsers of tables and other tools' exports, which describe pictures. Pure: names and bytes in, no I/O.

Used by the service for archives, folders and prefixes, and by the client for local folders. One file per tool; each
turns the tool's export into `Item`s, and `layout` matches them with files.
"""

from tsukiji.ingest.importers.layout import Layout, Placement, Remote, Table, lay_out
from tsukiji.ingest.importers.multilabel import json_list
from tsukiji.ingest.importers.table_reader import may_be_table
from tsukiji.ingest.importers.teachable import sampled_label

__all__ = ["Layout", "Placement", "Remote", "Table", "json_list", "lay_out", "may_be_table", "sampled_label"]
