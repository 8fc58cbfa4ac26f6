"""How the processes are run: gunicorn's settings, the container image, nginx in front."""
