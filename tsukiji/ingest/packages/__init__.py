"""Model packages from elsewhere: unpacked, checked and self-tested before they are trusted."""
