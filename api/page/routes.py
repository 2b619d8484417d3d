"""The screens of the page, in the order of the work."""

from typing import Final

from api.page import home, sign_in, style_guide

SCREENS: Final = (sign_in, home, style_guide)
"""Each has a `router`."""
