"""Krill's users."""
