"""The transformer of Vaswani et al. (2017)."""

import copy

import rtorch

from .. import functional as F
from .. import init
from .activation import MultiheadAttention
from .container import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .normalization import LayerNorm
from .utils import _check_layers, args_of_base

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]


def _causal_mask(size, device=None, dtype=None):
    dtype = rtorch.get_default_dtype() if dtype is None else dtype
    return rtorch.full((size, size), float("-inf"), dtype=dtype, device=device).triu(1)


def _is_causal(mask, is_causal, size):
    """Whether the causal kernel may be used: as told, or where the mask is found to be the causal one."""
    if is_causal is not None or mask is None:
        return is_causal is True
    if size is None or tuple(mask.shape[-2:]) != (size, size):
        return False
    causal = _causal_mask(size, mask.device, mask.dtype if mask.is_floating_point() else None)
    if mask.dtype == rtorch.bool:
        return False
    return mask.shape == causal.shape and bool((mask == causal).all())


def _sequence_length(src, batch_first):
    if src.dim() == 2:
        return src.size(0)
    return src.size(1 if batch_first else 0)


def _activation(activation):
    if not isinstance(activation, str):
        return activation
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    return F.relu if activation == "relu" else F.gelu


def _clones(module, count):
    _check_layers(count)
    return ModuleList([copy.deepcopy(module) for _ in range(count)])


class _Layer(Module):
    """The parts that encoder and decoder layers share.

    Args:
        d_model: size E of the features.
        nhead: number of heads.
        dim_feedforward: hidden size of the network. Default: 2048.
        dropout: probability of dropout. Default: 0.1.
        activation: "relu", "gelu" or a callable. Default: relu.
        layer_norm_eps: eps of the norms. Default: 1e-5.
        batch_first: whether tensors are (N, L, E) and not (L, N, E). Default: False.
        norm_first: whether the norms come before the parts and not after. Default: False.
        bias: whether linear maps and norms have biases. Default: True.
        device: device of the parameters.
        dtype: floating point dtype of the parameters.
    """

    __constants__ = ["norm_first"]

    def _feed_forward_parts(self, d_model, dim_feedforward, dropout, bias, options):
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **options)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **options)

    def _norms(self, count, d_model, eps, dropout, bias, options):
        for i in range(1, count + 1):
            setattr(self, f"norm{i}", LayerNorm(d_model, eps=eps, bias=bias, **options))
        for i in range(1, count + 1):
            setattr(self, f"dropout{i}", Dropout(dropout))

    def _attend(self, attention, x, memory, mask, padding, is_causal):
        return attention(
            x, memory, memory, attn_mask=mask, key_padding_mask=padding, is_causal=is_causal, need_weights=False
        )[0]

    def _feed_forward(self, x):
        return self.linear2(self.dropout(self.activation(self.linear1(x))))

    def __setstate__(self, state):
        super().__setstate__(state)
        if "activation" not in self.__dict__ and "activation" not in self._modules:
            self.activation = F.relu


@args_of_base
class TransformerEncoderLayer(_Layer):
    """Self-attention and a feed-forward network, each with dropout, a residual sum and a norm."""

    def __init__(
        self,
        d_model,
        nhead,
        dim_feedforward=2048,
        dropout=0.1,
        activation=F.relu,
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        device=None,
        dtype=None,
    ):
        options = {"device": device, "dtype": dtype}
        super().__init__()
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, **options
        )
        self._feed_forward_parts(d_model, dim_feedforward, dropout, bias, options)
        self.norm_first = norm_first
        self._norms(2, d_model, layer_norm_eps, dropout, bias, options)
        self.activation = _activation(activation)

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        """Runs the layer.

        Args:
            src: (L, N, E), (N, L, E) when batch_first, or (L, E).
            src_mask: (L, L) or (N * nhead, L, L), true where a position does not count, or numbers to add.
            src_key_padding_mask: (N, L) or (L), of the same kinds.
            is_causal: that `src_mask` is the causal one. Default: False.
        """
        padding = F._canonical_mask(
            src_key_padding_mask, "src_key_padding_mask", F._none_or_dtype(src_mask), "src_mask", src.dtype
        )
        mask = F._canonical_mask(src_mask, "src_mask", None, "", src.dtype, False)
        x = src
        if self.norm_first:
            x = x + self._sa_block(self.norm1(x), mask, padding, is_causal)
            return x + self._ff_block(self.norm2(x))
        x = self.norm1(x + self._sa_block(x, mask, padding, is_causal))
        return self.norm2(x + self._ff_block(x))

    def _sa_block(self, x, attn_mask, key_padding_mask, is_causal=False):
        return self.dropout1(self._attend(self.self_attn, x, x, attn_mask, key_padding_mask, is_causal))

    def _ff_block(self, x):
        return self.dropout2(self._feed_forward(x))


@args_of_base
class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to an encoder's output and a feed-forward network."""

    def __init__(
        self,
        d_model,
        nhead,
        dim_feedforward=2048,
        dropout=0.1,
        activation=F.relu,
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        device=None,
        dtype=None,
    ):
        options = {"device": device, "dtype": dtype}
        super().__init__()
        attention = {"dropout": dropout, "batch_first": batch_first, "bias": bias, **options}
        self.self_attn = MultiheadAttention(d_model, nhead, **attention)
        self.multihead_attn = MultiheadAttention(d_model, nhead, **attention)
        self._feed_forward_parts(d_model, dim_feedforward, dropout, bias, options)
        self.norm_first = norm_first
        self._norms(3, d_model, layer_norm_eps, dropout, bias, options)
        self.activation = _activation(activation)

    def forward(
        self,
        tgt,
        memory,
        tgt_mask=None,
        memory_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        tgt_is_causal=False,
        memory_is_causal=False,
    ):
        """Runs the layer.

        Args:
            tgt: (T, N, E), (N, T, E) when batch_first, or (T, E).
            memory: output of the encoder, (S, N, E), (N, S, E) or (S, E).
            tgt_mask: (T, T) or (N * nhead, T, T), true where a position does not count, or numbers to add.
            memory_mask: (T, S) or (N * nhead, T, S), of the same kinds.
            tgt_key_padding_mask: (N, T) or (T), of the same kinds.
            memory_key_padding_mask: (N, S) or (S), of the same kinds.
            tgt_is_causal: that `tgt_mask` is the causal one. Default: False.
            memory_is_causal: that `memory_mask` is the causal one. Default: False.
        """
        x = tgt
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        other = (memory_mask, memory_key_padding_mask, memory_is_causal)
        if self.norm_first:
            x = x + self._sa_block(self.norm1(x), *own)
            x = x + self._mha_block(self.norm2(x), memory, *other)
            return x + self._ff_block(self.norm3(x))
        x = self.norm1(x + self._sa_block(x, *own))
        x = self.norm2(x + self._mha_block(x, memory, *other))
        return self.norm3(x + self._ff_block(x))

    def _sa_block(self, x, attn_mask, key_padding_mask, is_causal=False):
        return self.dropout1(self._attend(self.self_attn, x, x, attn_mask, key_padding_mask, is_causal))

    def _mha_block(self, x, mem, attn_mask, key_padding_mask, is_causal=False):
        return self.dropout2(self._attend(self.multihead_attn, x, mem, attn_mask, key_padding_mask, is_causal))

    def _ff_block(self, x):
        return self.dropout3(self._feed_forward(x))


class TransformerEncoder(Module):
    """A stack of encoder layers.

    Args:
        encoder_layer: the layer that is copied.
        num_layers: number of copies.
        norm: a module that is applied last. Default: none.
        enable_nested_tensor: accepted; padded tensors are used as they are.
        mask_check: accepted.
    """

    __constants__ = ["norm"]

    def __init__(self, encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True):
        super().__init__()
        self.layers = _clones(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
        """Runs the layers.

        Args:
            src: (L, N, E), (N, L, E) when batch_first, or (L, E).
            mask: (L, L) or (N * nhead, L, L), true where a position does not count, or numbers to add.
            src_key_padding_mask: (N, L) or (L), of the same kinds.
            is_causal: whether `mask` is the causal one. Default: found out.
        """
        padding = F._canonical_mask(
            src_key_padding_mask, "src_key_padding_mask", F._none_or_dtype(mask), "mask", src.dtype
        )
        mask = F._canonical_mask(mask, "mask", None, "", src.dtype, False)
        output = src
        batch_first = self.layers[0].self_attn.batch_first if len(self.layers) else False
        is_causal = _is_causal(mask, is_causal, _sequence_length(src, batch_first))
        for layer in self.layers:
            output = layer(output, src_mask=mask, is_causal=is_causal, src_key_padding_mask=padding)
        return output if self.norm is None else self.norm(output)


class TransformerDecoder(Module):
    """A stack of decoder layers.

    Args:
        decoder_layer: the layer that is copied.
        num_layers: number of copies.
        norm: a module that is applied last. Default: none.
    """

    __constants__ = ["norm"]

    def __init__(self, decoder_layer, num_layers, norm=None):
        super().__init__()
        self.layers = _clones(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt,
        memory,
        tgt_mask=None,
        memory_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        tgt_is_causal=None,
        memory_is_causal=False,
    ):
        """Runs the layers.

        Args:
            tgt: (T, N, E), (N, T, E) when batch_first, or (T, E).
            memory: output of the encoder, (S, N, E), (N, S, E) or (S, E).
            tgt_mask: (T, T) or (N * nhead, T, T), true where a position does not count, or numbers to add.
            memory_mask: (T, S) or (N * nhead, T, S), of the same kinds.
            tgt_key_padding_mask: (N, T) or (T), of the same kinds.
            memory_key_padding_mask: (N, S) or (S), of the same kinds.
            tgt_is_causal: whether `tgt_mask` is the causal one. Default: found out.
            memory_is_causal: that `memory_mask` is the causal one. Default: False.
        """
        output = tgt
        batch_first = self.layers[0].self_attn.batch_first if len(self.layers) else False
        tgt_is_causal = _is_causal(tgt_mask, tgt_is_causal, _sequence_length(tgt, batch_first))
        for layer in self.layers:
            output = layer(
                output,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=tgt_is_causal,
                memory_is_causal=memory_is_causal,
            )
        return output if self.norm is None else self.norm(output)


class Transformer(Module):
    """An encoder and a decoder.

    Args:
        d_model: size E of the features. Default: 512.
        nhead: number of heads. Default: 8.
        num_encoder_layers: layers of the encoder. Default: 6.
        num_decoder_layers: layers of the decoder. Default: 6.
        dim_feedforward: hidden size of the feed-forward networks. Default: 2048.
        dropout: probability of dropout. Default: 0.1.
        activation: "relu", "gelu" or a callable. Default: relu.
        custom_encoder: an encoder in place of the default one.
        custom_decoder: a decoder in place of the default one.
        layer_norm_eps: eps of the norms. Default: 1e-5.
        batch_first: whether tensors are (N, L, E) and not (L, N, E). Default: False.
        norm_first: whether the norms come before the parts and not after. Default: False.
        bias: whether linear maps and norms have biases. Default: True.
        device: device of the parameters.
        dtype: floating point dtype of the parameters.
    """

    def __init__(
        self,
        d_model=512,
        nhead=8,
        num_encoder_layers=6,
        num_decoder_layers=6,
        dim_feedforward=2048,
        dropout=0.1,
        activation=F.relu,
        custom_encoder=None,
        custom_decoder=None,
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        device=None,
        dtype=None,
    ):
        options = {"device": device, "dtype": dtype}
        super().__init__()
        layer = (
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
        )
        if custom_encoder is not None:
            self.encoder = custom_encoder
        else:
            encoder_layer = TransformerEncoderLayer(*layer, **options)
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **options)
            self.encoder = TransformerEncoder(encoder_layer, num_encoder_layers, norm)
        if custom_decoder is not None:
            self.decoder = custom_decoder
        else:
            decoder_layer = TransformerDecoderLayer(*layer, **options)
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **options)
            self.decoder = TransformerDecoder(decoder_layer, num_decoder_layers, norm)
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def forward(
        self,
        src,
        tgt,
        src_mask=None,
        tgt_mask=None,
        memory_mask=None,
        src_key_padding_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        src_is_causal=None,
        tgt_is_causal=None,
        memory_is_causal=False,
    ):
        """Encodes `src` and decodes `tgt`.

        Args:
            src: (S, N, E), (N, S, E) when batch_first, or (S, E).
            tgt: (T, N, E), (N, T, E) when batch_first, or (T, E).
            src_mask: (S, S) or (N * nhead, S, S), true where a position does not count, or numbers to add.
            tgt_mask: (T, T) or (N * nhead, T, T), of the same kinds.
            memory_mask: (T, S) or (N * nhead, T, S), of the same kinds.
            src_key_padding_mask: (N, S) or (S), of the same kinds.
            tgt_key_padding_mask: (N, T) or (T), of the same kinds.
            memory_key_padding_mask: (N, S) or (S), of the same kinds.
            src_is_causal: whether `src_mask` is the causal one. Default: found out.
            tgt_is_causal: whether `tgt_mask` is the causal one. Default: found out.
            memory_is_causal: that `memory_mask` is the causal one. Default: False.
        """
        batch = 0 if self.batch_first else 1
        if src.dim() == 3 and tgt.dim() == 3 and src.size(batch) != tgt.size(batch):
            raise RuntimeError("the batch number of src and tgt must be equal")
        if src.size(-1) != self.d_model or tgt.size(-1) != self.d_model:
            raise RuntimeError("the feature number of src and tgt must be equal to d_model")
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(sz, device=None, dtype=None):
        """Returns the causal mask (sz, sz): 0 up to the diagonal, -inf above."""
        return _causal_mask(sz, device, dtype)

    def _reset_parameters(self):
        for param in self.parameters():
            if param.dim() > 1:
                init.xavier_uniform_(param)
