"""Functions of neural networks: re-exports of the core, and what is policy or composition on top of it."""

import math
import warnings

import rtorch
from rtorch._C._nn import (
    _upsample_bicubic2d,
    _upsample_bicubic2d_aa,
    _upsample_bilinear2d,
    _upsample_bilinear2d_aa,
    _upsample_linear1d,
    _upsample_nearest1d,
    _upsample_nearest2d,
    _upsample_nearest3d,
    _upsample_nearest_exact1d,
    _upsample_nearest_exact2d,
    _upsample_nearest_exact3d,
    _upsample_trilinear3d,
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    affine_grid,
    alpha_dropout,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    batch_norm,
    bilinear,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    celu,
    celu_,
    channel_shuffle,
    conv1d,
    conv2d,
    conv3d,
    conv_tbc,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    cosine_embedding_loss,
    cosine_similarity,
    cross_entropy,
    ctc_loss,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    elu,
    elu_,
    embedding,
    feature_alpha_dropout,
    fold,
    fractional_max_pool2d,
    fractional_max_pool3d,
    gaussian_nll_loss,
    gelu,
    glu,
    grid_sample,
    group_norm,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    hardtanh_,
    hinge_embedding_loss,
    huber_loss,
    instance_norm,
    kl_div,
    l1_loss,
    layer_norm,
    leaky_relu,
    leaky_relu_,
    linear,
    local_response_norm,
    log_softmax,
    logsigmoid,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    margin_ranking_loss,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
    mish,
    mse_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    nll_loss,
    normalize,
    one_hot,
    pad,
    pairwise_distance,
    pdist,
    pixel_shuffle,
    pixel_unshuffle,
    poisson_nll_loss,
    prelu,
    relu,
    relu6,
    relu_,
    rms_norm,
    rrelu,
    rrelu_,
    scaled_dot_product_attention,
    selu,
    selu_,
    sigmoid,
    silu,
    smooth_l1_loss,
    soft_margin_loss,
    softmax,
    softmin,
    softplus,
    softshrink,
    softsign,
    tanh,
    tanhshrink,
    threshold,
    threshold_,
    triplet_margin_loss,
    unfold,
)

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices",
    "affine_grid",
    "alpha_dropout",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "celu_",
    "channel_shuffle",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_tbc",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "ctc_loss",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "elu_",
    "embedding",
    "embedding_bag",
    "feature_alpha_dropout",
    "fold",
    "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "grid_sample",
    "group_norm",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "hinge_embedding_loss",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "leaky_relu_",
    "linear",
    "linear_cross_entropy",
    "local_response_norm",
    "log_softmax",
    "logsigmoid",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "margin_ranking_loss",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "mish",
    "mse_loss",
    "multi_head_attention_forward",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "pdist",
    "pixel_shuffle",
    "pixel_unshuffle",
    "poisson_nll_loss",
    "prelu",
    "relu",
    "relu6",
    "relu_",
    "rms_norm",
    "rrelu",
    "rrelu_",
    "scaled_dot_product_attention",
    "selu",
    "selu_",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "threshold_",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
    "unfold",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]


def _with_indices(pool):
    def pool_with_indices(*args, **kwargs):
        kwargs["return_indices"] = True
        return pool(*args, **kwargs)

    pool_with_indices.__name__ = f"{getattr(pool, '__name__', '')}_with_indices"
    pool_with_indices.__doc__ = f"As `{getattr(pool, '__name__', '')}`, returning the maxima and their indices."
    return pool_with_indices


def _with_open_sizes(pool, n):
    """Has None in `output_size` stand for the size of the input."""

    def adaptive_pool(input, output_size, *args, **kwargs):
        if isinstance(output_size, (tuple, list)) and input.dim() <= len(output_size):
            raise ValueError(f"Input dimension should be at least {len(output_size) + 1}")
        if isinstance(output_size, (tuple, list)) and None in output_size:
            given = tuple(output_size) if len(output_size) > 1 else tuple(output_size) * n
            sizes = input.shape[-len(given) :]
            output_size = [size if asked is None else asked for asked, size in zip(given, sizes)]
        return pool(input, output_size, *args, **kwargs)

    adaptive_pool.__name__ = pool.__name__
    adaptive_pool.__doc__ = pool.__doc__
    return adaptive_pool


adaptive_avg_pool2d = _with_open_sizes(adaptive_avg_pool2d, 2)
adaptive_avg_pool3d = _with_open_sizes(adaptive_avg_pool3d, 3)
adaptive_max_pool2d = _with_open_sizes(adaptive_max_pool2d, 2)
adaptive_max_pool3d = _with_open_sizes(adaptive_max_pool3d, 3)
adaptive_max_pool1d_with_indices = _with_indices(adaptive_max_pool1d)
adaptive_max_pool2d_with_indices = _with_indices(adaptive_max_pool2d)
adaptive_max_pool3d_with_indices = _with_indices(adaptive_max_pool3d)
fractional_max_pool2d_with_indices = _with_indices(fractional_max_pool2d)
fractional_max_pool3d_with_indices = _with_indices(fractional_max_pool3d)
max_pool1d_with_indices = _with_indices(max_pool1d)
max_pool2d_with_indices = _with_indices(max_pool2d)
max_pool3d_with_indices = _with_indices(max_pool3d)


def gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1):
    """Samples from the Gumbel-Softmax distribution (Jang et al., 2016).

    Args:
        logits: (*, num_features), log probabilities up to a constant.
        tau: temperature, above 0. Default: 1.
        hard: whether the samples are one-hot, with the gradient of the soft ones. Default: False.
        eps: not used; kept for old callers.
        dim: dimension of the classes. Default: -1.
    """
    noise = -rtorch.empty_like(logits).exponential_().log()
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    index = soft.max(dim, keepdim=True)[1]
    one = rtorch.zeros_like(logits).scatter_(dim, index, 1.0)
    return one - soft.detach() + soft


def linear_cross_entropy(
    input,
    linear_weight,
    target,
    *,
    linear_bias=None,
    weight=None,
    reduction="mean",
    ignore_index=None,
    label_smoothing=0.0,
    options=None,
):
    """Returns the cross entropy of `linear(input, linear_weight, linear_bias)` against `target`.

    Args:
        input: (N, in_features) or (in_features).
        linear_weight: (C, in_features), or (C, d1, ..., dk, in_features) for a loss over more positions.
        target: class indices (N, d1, ..., dk), or probabilities (N, C, d1, ..., dk).
        linear_bias: (C, d1, ..., dk). Default: none.
        weight: factors per class (C). Default: 1.
        reduction: "none", "mean" or "sum". Default: "mean".
        ignore_index: class index that does not count. Default: -100.
        label_smoothing: share of the uniform distribution in the target. Default: 0.
        options: `nn.LinearCrossEntropyOptions`; the result is the same for all of them.
    """
    if input.dim() not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.dim()}")
    if linear_weight.dim() < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {linear_weight.dim()}")
    features = linear_weight.shape[-1]
    if input.shape[-1] != features:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{input.shape[-1]} and {features}, respectively"
        )
    outputs = tuple(linear_weight.shape[:-1])
    if len(outputs) > 1 and input.dim() == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} requires batched input, "
            f"(N, {features}), got unbatched input with shape {tuple(input.shape)}"
        )
    if linear_bias is not None and tuple(linear_bias.shape) != outputs:
        raise RuntimeError(f"expected linear_bias shape {outputs}, got {tuple(linear_bias.shape)}")
    if ignore_index is not None and target.is_floating_point():
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    bias = None if linear_bias is None else linear_bias.reshape(-1)
    scores = linear(input, linear_weight.reshape(-1, features), bias)
    return cross_entropy(
        scores.reshape(tuple(input.shape[:-1]) + outputs),
        target,
        weight=weight,
        ignore_index=-100 if ignore_index is None else ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


def triplet_margin_with_distance_loss(
    anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"
):
    """Returns `max(0, d(anchor, positive) - d(anchor, negative) + margin)` for any distance d.

    Args:
        anchor: the anchors.
        positive: what should be near.
        negative: what should be far.
        distance_function: distance of two tensors. Default: `pairwise_distance`.
        margin: the margin, above 0. Default: 1.
        swap: whether the nearer of anchor and positive is used against the negative. Default: False.
        reduction: "none", "mean" or "sum". Default: "mean".
    """
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if anchor.dim() != positive.dim() or anchor.dim() != negative.dim():
        raise RuntimeError(
            f"The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {anchor.dim()}D, positive {positive.dim()}D, and negative {negative.dim()}D inputs"
        )
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = rtorch.minimum(far, distance(positive, negative))
    loss = rtorch.clamp_min(margin + near - far, 0)
    if reduction == "sum":
        return loss.sum()
    return loss.mean() if reduction == "mean" else loss


_BAG_MODES = {"sum": 0, "mean": 1, "max": 2}


def embedding_bag(
    input,
    weight,
    offsets=None,
    max_norm=None,
    norm_type=2,
    scale_grad_by_freq=False,
    mode="mean",
    sparse=False,
    per_sample_weights=None,
    include_last_offset=False,
    padding_idx=None,
):
    """Looks up rows of `weight` and reduces each bag of them to one row.

    Args:
        input: indices, (B, N) for B bags of N, or (N) cut at `offsets`.
        weight: the table, (V, D).
        offsets: (B), where the bags of a 1-D input start.
        max_norm: rows that are looked up and are longer than this are scaled down in place. Default: not done.
        norm_type: p of that norm. Default: 2.
        scale_grad_by_freq: whether gradients are divided by how often a row occurs. Default: False.
        mode: "sum", "mean" or "max". Default: "mean".
        sparse: accepted for gradients of rows; they are dense here. Default: False.
        per_sample_weights: factors of the rows, shape of `input`; only for mode "sum".
        include_last_offset: whether the offsets end with the number of indices. Default: False.
        padding_idx: row that is left out of the reduction. Default: none.
    """
    if weight.dtype == rtorch.int64 and input.is_floating_point():
        warnings.warn(
            "Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag(weight, input, ...)` is "
            "deprecated, and should now be `embedding_bag(input, weight, ...)`.",
            stacklevel=2,
        )
        weight, input = input, weight
    if per_sample_weights is not None and input.size() != per_sample_weights.size():
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, then it must have the "
            f"same shape as the input ({input.shape})"
        )
    if not weight.dim() == 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.dim()}")
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length "
                f"sequences. However, found offsets of type {type(offsets)}"
            )
        offsets = rtorch.arange(0, input.numel(), input.size(1), dtype=input.dtype, device=input.device)
        if input.numel() == 0:
            offsets = rtorch.zeros(input.size(0), dtype=input.dtype, device=input.device)
        input = input.reshape(-1)
        if per_sample_weights is not None:
            per_sample_weights = per_sample_weights.reshape(-1)
    elif input.dim() == 1:
        if offsets is None:
            raise ValueError("offsets has to be a 1D Tensor but got None")
        if offsets.dim() != 1:
            raise ValueError("offsets has to be a 1D Tensor")
    else:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}")
    if mode not in _BAG_MODES:
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max":
        if scale_grad_by_freq:
            raise ValueError("max mode does not support scaling the gradient by the frequency")
        if sparse:
            raise ValueError("max mode does not support sparse weights")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' "
            f"(got mode='{mode}')."
        )
    if max_norm is not None:
        # Looking the rows up with a norm limit scales them in place.
        with rtorch.no_grad():
            embedding(input, weight, max_norm=max_norm, norm_type=norm_type)
    return rtorch.embedding_bag(
        weight,
        input,
        offsets,
        scale_grad_by_freq,
        _BAG_MODES[mode],
        sparse,
        per_sample_weights,
        include_last_offset,
        padding_idx,
    )[0]


# mode -> (number of dimensions of the input it needs, or None; kernel by number of dimensions)
_INTERPOLATIONS = {
    "nearest": (None, {3: _upsample_nearest1d, 4: _upsample_nearest2d, 5: _upsample_nearest3d}),
    "nearest-exact": (
        None,
        {3: _upsample_nearest_exact1d, 4: _upsample_nearest_exact2d, 5: _upsample_nearest_exact3d},
    ),
    "area": (None, {3: adaptive_avg_pool1d, 4: adaptive_avg_pool2d, 5: adaptive_avg_pool3d}),
    "linear": (3, {3: _upsample_linear1d}),
    "bilinear": (4, {4: _upsample_bilinear2d}),
    "bicubic": (None, {4: _upsample_bicubic2d}),
    "trilinear": (5, {5: _upsample_trilinear3d}),
}
_ANTIALIASED = {"bilinear": _upsample_bilinear2d_aa, "bicubic": _upsample_bicubic2d_aa}
_ALIGNABLE = ("linear", "bilinear", "bicubic", "trilinear")


def _per_dimension(name, value, spatial, letter):
    if not isinstance(value, (tuple, list)):
        return [value] * len(spatial)
    if len(value) != len(spatial):
        shape = "output size of" if name == "output size" else f"{name} of shape"
        raise ValueError(
            f"Input and {name.replace('output size', 'output')} must have the same number of spatial dimensions, but "
            f"got input with spatial dimensions of {list(spatial)} and {shape} {value}. Please provide input tensor in "
            f"(N, C, d1, d2, ...,dK) format and {name} in ({letter}1, {letter}2, ...,{letter}K) format."
        )
    return list(value)


def interpolate(
    input,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
):
    """Resizes (N, C, L), (N, C, H, W) or (N, C, D, H, W).

    Args:
        input: the tensor.
        size: sizes of the output, a number or one per dimension.
        scale_factor: sizes of the output relative to the input, in place of `size`.
        mode: "nearest", "nearest-exact", "area", "linear", "bilinear", "bicubic" or "trilinear". Default: "nearest".
        align_corners: whether the corner pixels' centres stay in place, for the four modes with weights.
        recompute_scale_factor: whether the factor is computed anew from the rounded size.
        antialias: whether shrinking averages over all pixels, for "bilinear" and "bicubic". Default: False.

    Raises:
        ValueError: the arguments do not go together.
        NotImplementedError: the mode does not exist for that number of dimensions.
    """
    if mode in _ALIGNABLE:
        align_corners = bool(align_corners)
    elif align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    spatial = list(input.shape[2:])
    scales = None
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        output_size = _per_dimension("output size", size, spatial, "o")
        if recompute_scale_factor:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    elif scale_factor is not None:
        scales = _per_dimension("scale_factor", scale_factor, spatial, "s")
        output_size = [int(math.floor(float(n) * s)) for n, s in zip(spatial, scales)]
        if mode == "area" or recompute_scale_factor:
            scales = None
    else:
        raise ValueError("either size or scale_factor should be defined")
    if antialias and not (mode in _ANTIALIASED and input.ndim == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor as input"
        )
    needs, kernels = _INTERPOLATIONS.get(mode, (None, {}))
    kernel = kernels.get(input.dim())
    if kernel is None:
        if needs is not None and input.dim() in (3, 4, 5):
            raise NotImplementedError(f"Got {input.dim()}D input, but {mode} mode needs {needs}D input")
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {input.dim()}D) for the modes: nearest | "
            f"linear | bilinear | bicubic | trilinear | area | nearest-exact (got {mode})"
        )
    if mode == "area":
        return kernel(input, output_size)
    if mode in _ALIGNABLE:
        if antialias:
            kernel = _ANTIALIASED[mode]
        return kernel(input, output_size, align_corners, scales)
    return kernel(input, output_size, scales)


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """Deprecated name of `interpolate`."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input, size=None, scale_factor=None):
    """Deprecated: `interpolate` with mode "nearest"."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input, size=None, scale_factor=None):
    """Deprecated: `interpolate` with mode "bilinear" and aligned corners."""
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


def _check(condition, message):
    # PyTorch raises AssertionError here, and `python -O` must not drop it.
    if not condition:
        raise AssertionError(message)


def _attention_is_batched(query, key, value, key_padding_mask, attn_mask, num_heads):
    if query.dim() not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {query.dim()}-D query tensor"
        )
    batched = query.dim() == 3
    n = query.dim()
    what = f"For {'batched (3-D)' if batched else 'unbatched (2-D)'} `query`, expected"
    _check(
        key.dim() == n and value.dim() == n,
        f"{what} `key` and `value` to be {n}-D but found {key.dim()}-D and {value.dim()}-D tensors respectively",
    )
    if key_padding_mask is not None:
        _check(
            key_padding_mask.dim() == n - 1,
            f"{what} `key_padding_mask` to be `None` or {n - 1}-D but found {key_padding_mask.dim()}-D tensor instead",
        )
    if attn_mask is not None:
        _check(
            attn_mask.dim() in (2, 3),
            f"{what} `attn_mask` to be `None`, 2-D or 3-D but found {attn_mask.dim()}-D tensor instead",
        )
        if not batched and attn_mask.dim() == 3:
            expected = (num_heads, query.shape[0], key.shape[0])
            _check(
                tuple(attn_mask.shape) == expected,
                f"Expected `attn_mask` shape to be {expected} but got {attn_mask.shape}",
            )
    return batched


def _canonical_mask(mask, mask_name, other_type, other_name, target_type, check_other=True):
    """A mask as numbers to add: boolean masks become 0 and -inf."""
    if mask is None:
        return None
    if mask.dtype != rtorch.bool and not mask.is_floating_point():
        raise AssertionError(f"only bool and floating types of {mask_name} are supported")
    if check_other and other_type is not None and mask.dtype != other_type:
        warnings.warn(
            f"Support for mismatched {mask_name} and {other_name} is deprecated. Use same type for both instead.",
            stacklevel=3,
        )
    if mask.dtype == rtorch.bool:
        return rtorch.zeros_like(mask, dtype=target_type).masked_fill_(mask, float("-inf"))
    return mask


def _none_or_dtype(input):
    return None if input is None else input.dtype


def multi_head_attention_forward(
    query,
    key,
    value,
    embed_dim_to_check,
    num_heads,
    in_proj_weight,
    in_proj_bias,
    bias_k,
    bias_v,
    add_zero_attn,
    dropout_p,
    out_proj_weight,
    out_proj_bias,
    training=True,
    key_padding_mask=None,
    need_weights=True,
    attn_mask=None,
    use_separate_proj_weight=False,
    q_proj_weight=None,
    k_proj_weight=None,
    v_proj_weight=None,
    static_k=None,
    static_v=None,
    average_attn_weights=True,
    is_causal=False,
):
    """Computes multi-head attention (Vaswani et al., 2017) with all its weights given.

    Args:
        query: (L, N, E) or (L, E).
        key: (S, N, Ek) or (S, Ek).
        value: (S, N, Ev) or (S, Ev).
        embed_dim_to_check: E.
        num_heads: number of heads, a divisor of E.
        in_proj_weight: (3 E, E), projections of query, key and value.
        in_proj_bias: (3 E) or None.
        bias_k: (1, 1, E) added to the keys as one more, or None.
        bias_v: (1, 1, E) added to the values as one more, or None.
        add_zero_attn: whether a key and value of zeros are added.
        dropout_p: probability of dropping a weight.
        out_proj_weight: (E, E).
        out_proj_bias: (E) or None.
        training: whether dropout is on. Default: True.
        key_padding_mask: (N, S) or (S), true where a key does not count, or numbers to add.
        need_weights: whether the weights are returned. Default: True.
        attn_mask: (L, S) or (N * num_heads, L, S), true where a key does not count, or numbers to add.
        use_separate_proj_weight: whether the projections come as three weights. Default: False.
        q_proj_weight: (E, E).
        k_proj_weight: (E, Ek).
        v_proj_weight: (E, Ev).
        static_k: (N * num_heads, S, E / num_heads), keys that are used as they are.
        static_v: (N * num_heads, S, E / num_heads), values that are used as they are.
        average_attn_weights: whether the weights are averaged over heads. Default: True.
        is_causal: that `attn_mask` is the causal one. Default: False.

    Returns:
        The output, (L, N, E) or (L, E), and the weights, (N, L, S) or (N, num_heads, L, S), or None.
    """
    batched = _attention_is_batched(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    length, batch, embed_dim = query.shape
    source = key.shape[0]
    key_padding_mask = _canonical_mask(
        key_padding_mask, "key_padding_mask", _none_or_dtype(attn_mask), "attn_mask", query.dtype
    )
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    if is_causal and key_padding_mask is None and not need_weights:
        attn_mask = None  # the kernel makes the causal mask itself
    else:
        attn_mask = _canonical_mask(attn_mask, "attn_mask", None, "", query.dtype, False)
        if key_padding_mask is not None:
            is_causal = False
    _check(
        embed_dim == embed_dim_to_check,
        f"was expecting embedding dimension of {embed_dim_to_check}, but got {embed_dim}",
    )
    head_dim = embed_dim // num_heads
    _check(head_dim * num_heads == embed_dim, f"embed_dim {embed_dim} not divisible by num_heads {num_heads}")
    if use_separate_proj_weight:
        _check(
            key.shape[:2] == value.shape[:2],
            f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}",
        )
        biases = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)
        weights = (q_proj_weight, k_proj_weight, v_proj_weight)
        for name, weight in zip("qkv", weights):
            _check(weight is not None, f"use_separate_proj_weight is True but {name}_proj_weight is None")
        q, k, v = (linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases))
    else:
        _check(key.shape == value.shape, f"key shape {key.shape} does not match value shape {value.shape}")
        _check(in_proj_weight is not None, "use_separate_proj_weight is False but in_proj_weight is None")
        if query is key and key is value:
            q, k, v = linear(query, in_proj_weight, in_proj_bias).chunk(3, dim=-1)
        else:
            weights = in_proj_weight.chunk(3)
            biases = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)
            q, k, v = (linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases))
    if attn_mask is not None:
        expected = (length, source) if attn_mask.dim() == 2 else (batch * num_heads, length, source)
        if tuple(attn_mask.shape) != expected:
            raise RuntimeError(
                f"The shape of the {attn_mask.dim()}D attn_mask is {attn_mask.shape}, but should be {expected}."
            )
        if attn_mask.dim() == 2:
            attn_mask = attn_mask.unsqueeze(0)
    if bias_k is not None and bias_v is not None:
        _check(static_k is None, "bias cannot be added to static key.")
        _check(static_v is None, "bias cannot be added to static value.")
        k = rtorch.cat([k, bias_k.repeat(1, batch, 1)])
        v = rtorch.cat([v, bias_v.repeat(1, batch, 1)])
        attn_mask = pad(attn_mask, (0, 1)) if attn_mask is not None else None
        key_padding_mask = pad(key_padding_mask, (0, 1)) if key_padding_mask is not None else None
    heads = batch * num_heads
    q = q.contiguous().view(length, heads, head_dim).transpose(0, 1)

    def split(projected, static, name):
        if static is None:
            return projected.contiguous().view(projected.shape[0], heads, head_dim).transpose(0, 1)
        _check(static.size(0) == heads, f"expecting {name}.size(0) of {heads}, but got {static.size(0)}")
        _check(static.size(2) == head_dim, f"expecting {name}.size(2) of {head_dim}, but got {static.size(2)}")
        return static

    k, v = split(k, static_k, "static_k"), split(v, static_v, "static_v")
    if add_zero_attn:
        zero = rtorch.zeros((heads, 1, head_dim), dtype=k.dtype, device=k.device)
        k, v = rtorch.cat([k, zero], 1), rtorch.cat([v, zero], 1)
        attn_mask = pad(attn_mask, (0, 1)) if attn_mask is not None else None
        key_padding_mask = pad(key_padding_mask, (0, 1)) if key_padding_mask is not None else None
    source = k.size(1)
    if key_padding_mask is not None:
        _check(
            key_padding_mask.shape[0] == batch,
            f"Expected key_padded_mask.shape[0] to be {batch}, but got {key_padding_mask.shape[0]}",
        )
        _check(
            key_padding_mask.shape[1] == source,
            f"Expected key_padded_mask.shape[1] to be {source}, but got {key_padding_mask.shape[1]}",
        )
        per_head = key_padding_mask.view(batch, 1, 1, source).expand(-1, num_heads, -1, -1).reshape(heads, 1, source)
        attn_mask = per_head if attn_mask is None else attn_mask + per_head
    dropout_p = dropout_p if training else 0.0
    if need_weights:
        _check(not (is_causal and attn_mask is None), "is_causal needs attn_mask when need_weights is True")
        scores = rtorch.bmm(q * (1.0 / math.sqrt(head_dim)), k.transpose(-2, -1))
        if attn_mask is not None:
            scores = scores + attn_mask
        weights = softmax(scores, dim=-1)
        if dropout_p > 0.0:
            weights = dropout(weights, p=dropout_p)
        output = rtorch.bmm(weights, v).transpose(0, 1).contiguous().view(length * batch, embed_dim)
        output = linear(output, out_proj_weight, out_proj_bias).view(length, batch, embed_dim)
        weights = weights.view(batch, num_heads, length, source)
        if average_attn_weights:
            weights = weights.mean(dim=1)
        return (output, weights) if batched else (output.squeeze(1), weights.squeeze(0))
    if attn_mask is not None:
        if attn_mask.size(0) == 1 and attn_mask.dim() == 3:
            attn_mask = attn_mask.unsqueeze(0)
        else:
            attn_mask = attn_mask.view(batch, num_heads, -1, source)
    q, k, v = (x.view(batch, num_heads, -1, head_dim) for x in (q, k, v))
    output = scaled_dot_product_attention(q, k, v, attn_mask, dropout_p, is_causal)
    output = output.permute(2, 0, 1, 3).contiguous().view(batch * length, embed_dim)
    output = linear(output, out_proj_weight, out_proj_bias).view(length, batch, embed_dim)
    return (output if batched else output.squeeze(1)), None
