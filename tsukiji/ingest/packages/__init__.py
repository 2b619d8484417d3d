"""Model packages that come from elsewhere: unpacked, looked at and tried out before anybody trusts them."""
