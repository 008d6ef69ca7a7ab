"""Backups of the services' databases: taken, kept, proven and restored."""
