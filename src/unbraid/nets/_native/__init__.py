"""Our own compiled kernels for the networks that training spends its time in."""

from unbraid.nets._native.networks import decoded, encoded, knows, takes

__all__ = ["decoded", "encoded", "knows", "takes"]
