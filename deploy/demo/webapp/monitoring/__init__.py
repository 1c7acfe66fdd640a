"""What Krill measures of its network."""
