"""A small Django project with the producers installed, as Krill installs them."""
