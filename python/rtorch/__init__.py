"""PyTorch's public API over a small, fast Rust core. This file binds names and defines nothing."""

from rtorch import _C
from rtorch._C import *
from rtorch._C import Tensor, __version__, device, dtype, layout, memory_format
from rtorch._constants import e, inf, nan, newaxis, pi
from rtorch._contractions import *
from rtorch._errors import OutOfMemoryError
from rtorch._functions import *
from rtorch._lazy import attribute as __getattr__
from rtorch._lowrank import *
from rtorch._size import Size
from rtorch._tensor import (
    BFloat16Tensor,
    BoolTensor,
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
)
from rtorch.autograd.grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled
