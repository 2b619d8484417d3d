"""Files of pictures as they are built: what is needed to see the picture, taken out of everything else.

Pillow is shown only the parts that make pixels. Text, profiles, comments and EXIF can then neither make a picture
unreadable nor cost anything, and whatever a file repeats is counted before a decoder meets it. Knows no pixels.
"""
