"""What the package draws itself, and textures."""

__all__: list[str] = []
