"""Docker compose projects: their configuration, images, volumes and bind mounts, taken while nothing writes to them."""
