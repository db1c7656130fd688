"""The kind ``redis``: a Redis server as the RDB file it gives its replicas."""
