"""A small real Krill: its admin, its API and the traffic of its users, so that there is something to log."""
