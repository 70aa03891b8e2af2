"""Pathfinder images: how they are drawn, streamed to disk, and read from official copies."""
