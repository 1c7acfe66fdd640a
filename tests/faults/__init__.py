"""Breaks everything under load, and counts what is missing and what is there twice: `make faults`."""
