"""The outside: the only importers of OpenStack's clients (cloud) and of database drivers (database)."""
