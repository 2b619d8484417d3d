"""Parsers of picture files: extract what is needed to decode the picture.

Pillow gets only the parts that make pixels. So text, profiles, comments and EXIF can neither make a picture unreadable
nor cost anything, and repeated parts are counted before a decoder sees them. Knows no pixels.
"""
