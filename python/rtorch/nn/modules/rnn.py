"""Recurrent layers over sequences, and their cells over single steps."""

import math
import numbers
import warnings

import rtorch

from .. import init
from ..parameter import Parameter
from ..utils.rnn import PackedSequence
from .module import Module
from .utils import _check_layers

__all__ = ["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNBase", "RNNCell", "RNNCellBase"]

# gates per mode
_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def _permuted(state, permutation):
    """The hidden state, a tensor or the pair of an LSTM, with its batch in another order."""
    if permutation is None or state is None:
        return state
    if isinstance(state, tuple):
        return tuple(s.index_select(1, permutation) for s in state)
    return state.index_select(1, permutation)


class RNNBase(Module):
    """Parameters and checks that the recurrent layers share.

    Args:
        mode: "LSTM", "GRU", "RNN_TANH" or "RNN_RELU".
        input_size: size of the input's features.
        hidden_size: size of the hidden state.
        num_layers: number of layers. Default: 1.
        bias: whether there are biases. Default: True.
        batch_first: whether tensors are (N, L, F) and not (L, N, F). Default: False.
        dropout: probability of dropout between layers. Default: 0.
        bidirectional: whether a second direction runs backwards. Default: False.
        proj_size: size of the projected hidden state of an LSTM, 0 for none. Default: 0.
        device: device of the parameters.
        dtype: floating point dtype of the parameters.
    """

    __constants__ = [
        "mode",
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "dropout",
        "bidirectional",
        "proj_size",
    ]

    def __init__(
        self,
        mode,
        input_size,
        hidden_size,
        num_layers=1,
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        proj_size=0,
        device=None,
        dtype=None,
    ):
        super().__init__()
        if not isinstance(dropout, numbers.Number) or not 0 <= dropout <= 1 or isinstance(dropout, bool):
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
            )
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=2,
            )
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
            if not isinstance(size, int):
                raise TypeError(f"{name} should be of type int, got: {type(size).__name__}")
        if hidden_size <= 0:
            raise ValueError("hidden_size must be greater than zero")
        if num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        _check_layers(num_layers)
        if proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if proj_size >= hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        if mode not in _GATES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        directions = 2 if bidirectional else 1
        rows = _GATES[mode] * hidden_size
        outputs = proj_size if proj_size > 0 else hidden_size
        self._all_weights = []
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else outputs * directions
            shapes = {"weight_ih": (rows, inputs), "weight_hh": (rows, outputs)}
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if proj_size > 0:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for direction in range(directions):
                suffix = f"_l{layer}" + ("_reverse" if direction else "")
                self._all_weights.append([name + suffix for name in shapes])
                for name, shape in shapes.items():
                    setattr(self, name + suffix, Parameter(rtorch.empty(shape, device=device, dtype=dtype)))
        self._flat_weights_names = [name for names in self._all_weights for name in names]
        self.reset_parameters()

    @property
    def _flat_weights(self):
        # Read at every call: a weight that was replaced or is computed by a parametrization counts at once.
        params = self._parameters
        return [params[n] if n in params else getattr(self, n) for n in self._flat_weights_names]

    @property
    def all_weights(self):
        """The parameters, one list per layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self):
        """Does nothing: the kernels take the weights where they are."""

    def reset_parameters(self):
        """Draws all parameters from U(-1/sqrt(hidden_size), 1/sqrt(hidden_size))."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def check_input(self, input, batch_sizes):
        """Raises unless `input` has the dtype, dimensions and features that the layer takes."""
        weight = self._flat_weights[0]
        if input.dtype != weight.dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). "
                f"Convert input: input.to({weight.dtype}), or convert model: model.to({input.dtype})"
            )
        wanted = 2 if batch_sizes is not None else 3
        if input.dim() != wanted:
            raise RuntimeError(f"input must have {wanted} dimensions, got {input.dim()}")
        if self.input_size != input.size(-1):
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.size(-1)}"
            )

    def _state_size(self, size, batch):
        return (self.num_layers * (2 if self.bidirectional else 1), batch, size)

    def check_hidden_size(self, hx, expected_hidden_size, msg="Expected hidden size {}, got {}"):
        """Raises unless `hx` has the size given."""
        if tuple(hx.size()) != tuple(expected_hidden_size):
            raise RuntimeError(msg.format(tuple(expected_hidden_size), list(hx.size())))

    def _zeros(self, size, batch, like):
        return rtorch.zeros(self._state_size(size, batch), dtype=like.dtype, device=like.device)

    def _initial(self, input, hx, batch):
        """The hidden state to start from, given or zero, checked."""
        if hx is None:
            return self._zeros(self.hidden_size, batch, input)
        self.check_hidden_size(hx, self._state_size(self.hidden_size, batch))
        return hx

    def _check_state_dims(self, hx, batched):
        if hx.dim() != (3 if batched else 2):
            kind, n = ("batched 3-D", 3) if batched else ("unbatched 2-D", 2)
            raise RuntimeError(f"For {kind} input, hx should also be {n}-D but got {hx.dim()}-D tensor")

    @staticmethod
    def _on_state(function, state):
        return tuple(map(function, state)) if isinstance(state, tuple) else function(state)

    def _kernel(self):
        return {"LSTM": rtorch.lstm, "GRU": rtorch.gru, "RNN_TANH": rtorch.rnn_tanh, "RNN_RELU": rtorch.rnn_relu}[
            self.mode
        ]

    def forward(self, input, hx=None):
        """Runs the layers over a sequence.

        Args:
            input: (L, N, input_size), (N, L, input_size) when batch_first, (L, input_size), or a `PackedSequence`.
            hx: the first hidden state, (num_layers * directions, N, size); a pair for an LSTM. Default: zeros.

        Returns:
            The outputs of the last layer, of the form of the input, and the last hidden state.
        """
        options = (self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        if isinstance(input, PackedSequence):
            data, batch_sizes, sorted_indices, unsorted_indices = input
            state = self._initial(data, _permuted(hx, sorted_indices), int(batch_sizes[0]))
            self.check_input(data, batch_sizes)
            result = self._kernel()(data, batch_sizes, self._argument(state), self._flat_weights, *options)
            output = PackedSequence(result[0], batch_sizes, sorted_indices, unsorted_indices)
            return output, _permuted(self._state(result), unsorted_indices)
        if input.dim() not in (2, 3):
            raise ValueError(f"{type(self).__name__}: Expected input to be 2D or 3D, got {input.dim()}D instead")
        batched = input.dim() == 3
        batch_dim = 0 if self.batch_first else 1
        if hx is not None:
            self._check_state_dims(hx, batched)
        if not batched:
            input = input.unsqueeze(batch_dim)
            if hx is not None:
                hx = self._on_state(lambda s: s.unsqueeze(1), hx)
        self.check_input(input, None)
        state = self._initial(input, hx, input.size(batch_dim))
        result = self._kernel()(input, self._argument(state), self._flat_weights, *options, self.batch_first)
        output, state = result[0], self._state(result)
        if not batched:
            return output.squeeze(batch_dim), self._on_state(lambda s: s.squeeze(1), state)
        return output, state

    def _argument(self, state):
        return state

    def _state(self, result):
        return result[1]

    def extra_repr(self):
        """Returns the settings that differ from the defaults."""
        parts = [f"{self.input_size}, {self.hidden_size}"]
        if self.proj_size != 0:
            parts.append(f"proj_size={self.proj_size}")
        if self.num_layers != 1:
            parts.append(f"num_layers={self.num_layers}")
        if self.bias is not True:
            parts.append(f"bias={self.bias}")
        if self.batch_first is not False:
            parts.append(f"batch_first={self.batch_first}")
        if self.dropout != 0:
            parts.append(f"dropout={self.dropout}")
        if self.bidirectional is not False:
            parts.append(f"bidirectional={self.bidirectional}")
        return ", ".join(parts)

    def __setstate__(self, state):
        super().__setstate__(state)
        self.__dict__.setdefault("proj_size", 0)


def _no_projection(kwargs):
    if "proj_size" in kwargs:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")


class RNN(RNNBase):
    """Runs `h' = tanh(W_ih x + b_ih + W_hh h + b_hh)` over a sequence (Elman, 1990).

    Args:
        input_size: size of the input's features.
        hidden_size: size of the hidden state.
        num_layers: number of layers. Default: 1.
        nonlinearity: "tanh" or "relu". Default: "tanh".
        bias: whether there are biases. Default: True.
        batch_first: whether tensors are (N, L, F) and not (L, N, F). Default: False.
        dropout: probability of dropout between layers. Default: 0.
        bidirectional: whether a second direction runs backwards. Default: False.
        device: device of the parameters.
        dtype: floating point dtype of the parameters.
    """

    def __init__(self, *args, **kwargs):
        _no_projection(kwargs)
        if len(args) > 3:
            nonlinearity, args = args[3], args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__("RNN_" + nonlinearity.upper(), *args, **kwargs)
        self.nonlinearity = nonlinearity


class GRU(RNNBase):
    """Runs gated recurrent units over a sequence (Cho et al., 2014).

    Args:
        input_size: size of the input's features.
        hidden_size: size of the hidden state.
        num_layers: number of layers. Default: 1.
        bias: whether there are biases. Default: True.
        batch_first: whether tensors are (N, L, F) and not (L, N, F). Default: False.
        dropout: probability of dropout between layers. Default: 0.
        bidirectional: whether a second direction runs backwards. Default: False.
        device: device of the parameters.
        dtype: floating point dtype of the parameters.
    """

    def __init__(self, *args, **kwargs):
        _no_projection(kwargs)
        super().__init__("GRU", *args, **kwargs)


class LSTM(RNNBase):
    """Runs long short-term memory over a sequence (Hochreiter and Schmidhuber, 1997).

    Args:
        input_size: size of the input's features.
        hidden_size: size of the hidden state.
        num_layers: number of layers. Default: 1.
        bias: whether there are biases. Default: True.
        batch_first: whether tensors are (N, L, F) and not (L, N, F). Default: False.
        dropout: probability of dropout between layers. Default: 0.
        bidirectional: whether a second direction runs backwards. Default: False.
        proj_size: size of the projected hidden state, 0 for none (Sak et al., 2014). Default: 0.
        device: device of the parameters.
        dtype: floating point dtype of the parameters.

    Example:
        >>> import rtorch as torch
        >>> output, (h, c) = torch.nn.LSTM(3, 4)(torch.zeros(5, 2, 3))
        >>> output.shape, h.shape
        (torch.Size([5, 2, 4]), torch.Size([1, 2, 4]))
    """

    def __init__(self, *args, **kwargs):
        super().__init__("LSTM", *args, **kwargs)

    def _initial(self, input, hx, batch):
        outputs = self.proj_size if self.proj_size > 0 else self.hidden_size
        if hx is None:
            return self._zeros(outputs, batch, input), self._zeros(self.hidden_size, batch, input)
        self.check_hidden_size(hx[0], self._state_size(outputs, batch), "Expected hidden[0] size {}, got {}")
        self.check_hidden_size(hx[1], self._state_size(self.hidden_size, batch), "Expected hidden[1] size {}, got {}")
        return tuple(hx)

    def _check_state_dims(self, hx, batched):
        if hx[0].dim() != (3 if batched else 2) or hx[1].dim() != (3 if batched else 2):
            kind, n = ("batched 3-D", 3) if batched else ("unbatched 2-D", 2)
            raise RuntimeError(
                f"For {kind} input, hx and cx should also be {n}-D but got ({hx[0].dim()}-D, {hx[1].dim()}-D) tensors"
            )

    def _argument(self, state):
        return list(state)

    def _state(self, result):
        return result[1], result[2]


class RNNCellBase(Module):
    """Parameters that the recurrent cells share.

    Args:
        input_size: size of the input's features.
        hidden_size: size of the hidden state.
        bias: whether there are biases.
        num_chunks: number of gates.
        device: device of the parameters.
        dtype: floating point dtype of the parameters.
    """

    __constants__ = ["input_size", "hidden_size", "bias"]

    def __init__(self, input_size, hidden_size, bias, num_chunks, device=None, dtype=None):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        for name, shape in (
            ("weight_ih", (rows, input_size)),
            ("weight_hh", (rows, hidden_size)),
            ("bias_ih", (rows,) if bias else None),
            ("bias_hh", (rows,) if bias else None),
        ):
            value = None if shape is None else Parameter(rtorch.empty(shape, device=device, dtype=dtype))
            self.register_parameter(name, value)
        self.reset_parameters()

    def extra_repr(self):
        """Returns the settings that differ from the defaults."""
        parts = [f"{self.input_size}, {self.hidden_size}"]
        if self.bias is not True:
            parts.append(f"bias={self.bias}")
        nonlinearity = self.__dict__.get("nonlinearity", "tanh")
        if nonlinearity != "tanh":
            parts.append(f"nonlinearity={nonlinearity}")
        return ", ".join(parts)

    def reset_parameters(self):
        """Draws all parameters from U(-1/sqrt(hidden_size), 1/sqrt(hidden_size))."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _step(self, function, input, hx, names):
        """Calls `function` on a batch; the state is one tensor, or two in a tuple, named for errors."""
        cls = type(self).__name__
        if input.dim() not in (1, 2):
            raise ValueError(f"{cls}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        single = input.dim() == 1
        if hx is None:
            shape = (self.hidden_size,) if single else (input.size(0), self.hidden_size)
            zeros = rtorch.zeros(shape, dtype=input.dtype, device=input.device)
            states = [zeros] * len(names)
        else:
            states = list(hx) if len(names) > 1 else [hx]
            for name, state in zip(names, states):
                if state.dim() not in (1, 2):
                    raise ValueError(f"{cls}: Expected {name} to be 1D or 2D, got {state.dim()}D instead")
        if single:
            input, states = input.unsqueeze(0), [s.unsqueeze(0) if s.dim() == 1 else s for s in states]
        state = tuple(states) if len(names) > 1 else states[0]
        result = function(input, state, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        if len(names) > 1:
            return tuple(r.squeeze(0) for r in result) if single else tuple(result)
        return result.squeeze(0) if single else result


class RNNCell(RNNCellBase):
    """Computes `h' = tanh(W_ih x + b_ih + W_hh h + b_hh)`.

    Args:
        input_size: size of the input's features.
        hidden_size: size of the hidden state.
        bias: whether there are biases. Default: True.
        nonlinearity: "tanh" or "relu". Default: "tanh".
        device: device of the parameters.
        dtype: floating point dtype of the parameters.
    """

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh", device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        """Returns the next hidden state (N, hidden_size) of `input` (N, input_size) and `hx`."""
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        function = rtorch.rnn_tanh_cell if self.nonlinearity == "tanh" else rtorch.rnn_relu_cell
        return self._step(function, input, hx, ("hidden",))


class LSTMCell(RNNCellBase):
    """Computes one step of long short-term memory.

    Args:
        input_size: size of the input's features.
        hidden_size: size of the hidden state.
        bias: whether there are biases. Default: True.
        device: device of the parameters.
        dtype: floating point dtype of the parameters.
    """

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input, hx=None):
        """Returns the next pair of hidden and cell state of `input` (N, input_size) and the pair `hx`."""
        return self._step(rtorch.lstm_cell, input, hx, ("hx[0]", "hx[1]"))


class GRUCell(RNNCellBase):
    """Computes one step of a gated recurrent unit.

    Args:
        input_size: size of the input's features.
        hidden_size: size of the hidden state.
        bias: whether there are biases. Default: True.
        device: device of the parameters.
        dtype: floating point dtype of the parameters.
    """

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input, hx=None):
        """Returns the next hidden state (N, hidden_size) of `input` (N, input_size) and `hx`."""
        return self._step(rtorch.gru_cell, input, hx, ("hidden",))
