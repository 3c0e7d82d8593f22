"""Reading tables and matrices of counts."""

__all__: list[str] = []
