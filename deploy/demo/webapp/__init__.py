"""Krill's own packages, imported as `webapp.…`."""
