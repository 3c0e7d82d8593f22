"""Files on disk: found, downloaded, read safely, decoded once."""

__all__: list[str] = []
