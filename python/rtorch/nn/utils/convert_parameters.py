"""Parameters as one vector."""

import rtorch
from rtorch import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters):
    """Returns all parameters as one vector, one after another."""
    return rtorch.cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec, parameters):
    """Makes parameters views of the pieces of a vector, the inverse of `parameters_to_vector`.

    Args:
        vec: the vector.
        parameters: iterable of parameters with as many elements together.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {type(vec).__name__}")
    start = 0
    for p in parameters:
        end = start + p.numel()
        p.data = vec[start:end].view_as(p).data
        start = end
