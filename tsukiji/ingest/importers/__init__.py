"""What tables and other tools say of pictures, and where those pictures are. Pure: names and bytes in, no I/O.

The service reads archives, folders and prefixes so, the client a folder of its machine. One file per tool; each turns
what that tool exports into `Item`s, and `layout` finds the files that they mean.
"""

from tsukiji.ingest.importers.layout import Layout, Placement, Remote, Table, lay_out
from tsukiji.ingest.importers.multilabel import json_list
from tsukiji.ingest.importers.table_reader import may_be_table
from tsukiji.ingest.importers.teachable import sampled_label

__all__ = ["Layout", "Placement", "Remote", "Table", "json_list", "lay_out", "may_be_table", "sampled_label"]
