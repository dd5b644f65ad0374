"""Binary formats of recordings, a file each, and what those that MNE reads share."""
