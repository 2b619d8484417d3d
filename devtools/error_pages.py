"""`python -m devtools.error_pages`: writes docs/reference/errors.md from the errors and their HTTP numbers."""

from pathlib import Path

from api.http.errors import catalogue, status_of
from tsukiji.errors import TsukijiError

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "errors.md"
ROOMS = {"api.http.errors", "tsukiji.errors"}
"""Modules of the errors that users meet; those of one program (a second `tsukiji up`) are defined there."""

HEAD = """\
# Errors

Branch on `code`: codes do not change once released. `title`, `detail` and `hint` are for people, and their wording may
change. The members are the same in a problem document of the HTTP API, in a job's or an item's `error`, in the
exceptions of the Python client, and in what the command line prints with `--json`. [HTTP API](http-api.md#errors) shows
an example.

HTTP is the status code when the error answers a request; many errors only appear in a job or an item. Retriable means
that the same request or job may succeed later, unchanged. `detail` is more specific than the table, for instance which
limit was exceeded, and may come with a hint of its own. This page is generated from `tsukiji/errors.py` and
`api/http/errors.py` by `make docs`.
"""

AREAS = {
    "Requests": (
        "unauthorized forbidden not_found conflict changed_meanwhile invalid_request idempotency_key_reused"
        " method_not_allowed unsupported_media_type too_large queue_full host_not_allowed request_malformed"
        " headers_too_large request_timeout too_many_connections too_many_streams"
    ),
    "Uploads": ("upload_incomplete upload_closed digest_mismatch part_out_of_range part_size_wrong too_many_uploads"),
    "Sources, tables and manifests": (
        "source_not_allowed source_missing source_unreadable source_too_large url_not_allowed url_not_public"
        " url_redirected url_unreachable table_invalid table_line_invalid file_not_sent several_labels"
        " manifest_line_invalid duplicate_custom_id image_unknown"
    ),
    "Pictures": (
        "image_error not_an_image unsupported_format truncated damaged not_finite too_many_bytes too_many_pixels"
        " bad_dimensions too_costly"
    ),
    "Archives": (
        "archive_error archive_unreadable archive_too_large archive_too_many_entries unsafe_path nested_archive"
        " encrypted_entry entry_too_large duplicate_entry ignored_entry unreadable_entry"
    ),
    "Data sets": "sample_unavailable label_refused dataset_too_small crop_outside changed_since revision_undone",
    "Trainings and models": (
        "backbone_unavailable weights_unavailable weights_invalid nan_loss gpu_out_of_memory out_of_memory"
        " training_crashed model_gone package_invalid labels_unknown kind_mismatch no_shared_images"
        " output_not_finite export_failed"
    ),
    "Jobs and workers": (
        "batch_empty batch_too_large no_image_succeeded worker_lost stalled deadline_exceeded job_not_done"
        " results_deleted internal"
    ),
    "Storage and servers": (
        "blob_missing blob_corrupt storage_full storage_unavailable broker_unavailable database_unavailable not_ready"
    ),
}
"""Heading -> codes in their order. A test refuses a code that is missing here."""


def documented() -> dict[str, type[TsukijiError]]:
    """Return the errors that users meet, by their codes."""
    return {code: kind for code, kind in catalogue().items() if kind.__module__ in ROOMS}


def render() -> str:
    """Return the page.

    Raises:
        KeyError: `AREAS` names a code that no error has.
    """
    kinds = documented()
    areas = [render_area(area, [kinds[code] for code in codes.split()]) for area, codes in AREAS.items()]
    return "\n".join([HEAD, *areas])


def render_area(area: str, kinds: list[type[TsukijiError]]) -> str:
    head = ["| Code | HTTP | Retriable | What it means | What to do |", "|---|---|---|---|---|"]
    return "\n".join([f"## {area}", "", *head, *map(render_row, kinds), ""])


def render_row(kind: type[TsukijiError]) -> str:
    retriable = "yes" if kind.retriable else "no"
    return f"| `{kind.code}` | {status_of(kind)} | {retriable} | {kind.title} | {kind.hint or ''} |"


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
