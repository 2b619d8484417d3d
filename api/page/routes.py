"""The screens of the page, in the order of the work."""

from typing import Final

from api.page import (
    audit,
    batches,
    compare,
    curate,
    data,
    evaluate,
    help_pages,
    home,
    jobs,
    keys,
    label,
    model_acts,
    people,
    projects,
    search,
    sign_in,
    sign_in_links,
    sign_in_provider,
    style_guide,
    train,
    use,
    webhooks,
)

SCREENS: Final = (
    audit,
    sign_in,
    sign_in_links,
    sign_in_provider,
    home,
    data,
    label,
    curate,
    use,
    train,
    compare,
    batches,
    evaluate,
    model_acts,
    jobs,
    keys,
    people,
    projects,
    webhooks,
    search,
    help_pages,
    style_guide,
)
"""Each has a `router`."""
