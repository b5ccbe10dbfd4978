"""A log in another place: copied, compared, exported to a file and imported from one."""

from twofold.copies.contents import Chunk, Digest
from twofold.copies.transfer import CopyResult, copy_log, export_log, import_log, opened_export

__all__ = ["Chunk", "CopyResult", "Digest", "copy_log", "export_log", "import_log", "opened_export"]
