"""Rows of ops that are parts of others, and of forms that exist only in place."""

import numpy as np

import rtorch as torch

from .indexing import SCATTER_ADD, written
from .row import Error, op, private
from .row import Sample as S
from .samples import calls, given, unary

IN_PLACE = dict(space="Tensor", grad=False, forms=False, layouts=False)
op("squeeze_", lambda x, dim=None: np.squeeze(x, dim), calls((), (0,), shapes=((1, 3, 1),)), **IN_PLACE)
op("unsqueeze_", np.expand_dims, calls((0,), (-1,), shapes=((2, 3),)), **IN_PLACE)
op("transpose_ swapaxes_ swapdims_", np.swapaxes, calls((0, 1), shapes=((2, 3),)), **IN_PLACE)
op("t_", np.transpose, calls((), shapes=((2, 3),)), **IN_PLACE)
op("as_strided_", lambda x, size, stride: x.ravel()[[0, 2]], calls(((2,), (2,)), shapes=((2, 3),)), **IN_PLACE)
op("threshold_", lambda x, t, v: np.where(x > t, x, v), calls((1, 2), shapes=((2, 3),)), **{**IN_PLACE, "space": None})
op(
    "rrelu_",
    lambda x: np.where(x > 0, x, x * (1 / 8 + 1 / 3) / 2),
    unary(shapes=((3, 4),)),
    **{**IN_PLACE, "space": None},
)
op(
    "index_put_",
    lambda x, i, v: (x.__setitem__(i, v), x)[1],
    given(lambda make: (make(3, 4), (torch.tensor([0, 2]), torch.tensor([1, 3])), make(2))),
    **IN_PLACE,
)
op("sum_to_size", lambda x, *s: x.sum(0, keepdims=True), calls((1, 3), shapes=((2, 3),)), **{**IN_PLACE, "grad": True})
op("__rdiv__", lambda x, y: y / x, calls((2.0,), shapes=((2, 3),)), **{**IN_PLACE, "grad": True})
op(
    "chalf",
    None,
    unary(shapes=()),
    **IN_PLACE,
    errors=[Error(lambda make: S(make(2)), NotImplementedError, "complex32")],
)
op("dim_order", lambda x: (0, 1), unary(shapes=((2, 3),)), **IN_PLACE, gives=None)
op("is_inference", lambda x: False, unary(shapes=((2, 3),)), **IN_PLACE, gives=None)
op("is_set_to", lambda x, y: False, given(lambda make: (make(2), make(2))), **IN_PLACE, gives=None)
op("sparse_dim", lambda x: 0, unary(shapes=((2, 3),)), **IN_PLACE, gives=None)
op("dense_dim", lambda x: x.ndim, unary(shapes=((2, 3),)), **IN_PLACE, gives=None)
op(
    "conv_tbc",
    lambda x, w, b, pad: sum(np.pad(x, [(pad, pad), (0, 0), (0, 0)])[k : k + len(x)] @ w[k] for k in range(3)) + b,
    given(lambda make: (make(5, 2, 3), make(3, 3, 4), make(4), 1)),
    space="",
    forms=False,
    tol=(1e-5, 1e-5),
)


def keeps_shape(result, sample):
    assert result.shape == sample.args[0].shape and result.dtype == sample.args[0].dtype


for _name in ("dropout_", "alpha_dropout_", "feature_dropout_", "feature_alpha_dropout_"):
    op(
        _name,
        None,
        given(lambda make: (make(5, 6, 2), 0.5, True)),
        **IN_PLACE | {"space": ""},
        random=True,
        check=keeps_shape,
    )
op("_standard_gamma _sample_dirichlet", None, unary(1, 3, shapes=((4, 5),)), random=True, grad=False, check=keeps_shape)

private("_div_trunc _div_floor", via="div")
private("_pow _pow_constant", via="pow")
private("_where", via="where")
private("_clamp", via="clamp")
private("_nan_to_num", via="nan_to_num")
private("_logit _logit_backward", via="logit")
private("_polygamma", via="polygamma")
private("_sigmoid_backward", via="sigmoid")
private("_tanh_backward", via="tanh")
private("_threshold_backward", via="threshold")
private("_hardtanh _hardtanh_backward", via="hardtanh")
private("_leaky_relu _leaky_relu_backward", via="leaky_relu")
private("_elu _elu_backward", via="elu")
private("_silu _silu_backward", via="silu")
private("_mish _mish_backward", via="mish")
private("_gelu _gelu_backward _gelu_tanh _gelu_tanh_backward", via="gelu")
private("_hardsigmoid", via="hardsigmoid")
private("_hardswish _hardswish_backward", via="hardswish")
private("_softplus_backward", via="softplus")
private("_shrink_backward", via="softshrink")
private("_prelu _prelu_backward", via="prelu")
private("_einsum", via="einsum")
private("_tensordot", via="tensordot")
private("_chain_matmul", via="chain_matmul")
private("_upsample_nearest1d _upsample_nearest2d _upsample_nearest3d", via="interpolate")
private("_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d", via="interpolate")
private("_upsample_linear1d _upsample_bilinear2d _upsample_trilinear3d _upsample_bicubic2d", via="interpolate")
private("_upsample_bilinear2d_aa _upsample_bicubic2d_aa", via="interpolate")
private("affine_grid_generator", via="affine_grid")
private("grid_sampler", via="grid_sample")
private("mse", via="mse_loss")
private("smooth_l1", via="smooth_l1_loss")
private("huber", via="huber_loss")
private("bce", via="binary_cross_entropy")
private("bce_logits softplus_of_negative", via="binary_cross_entropy_with_logits")
private("kl", via="kl_div")
private("stirling", via="poisson_nll_loss")
private("limited", via="gaussian_nll_loss")
private("inverse_spread", via="batch_norm")
private("scaled_softmax", via="cross_entropy")
private("safe_root", via="std")
private("abs_power signed_power", via="lp_pool1d")
private("_softmax_backward_data", via="softmax")
private("_log_softmax_backward_data", via="log_softmax")
for _n in (1, 2, 3):
    private(f"max_pool{_n}d_with_indices", via=f"max_pool{_n}d")
op(
    "embedding_bag",
    lambda w, i, offsets, *a: tuple([np.stack([part.sum(0) for part in np.split(w[i], offsets[1:])])]),
    given(lambda make: (make(5, 3), torch.tensor([0, 2, 4, 4, 1]), torch.tensor([0, 2, 3]))),
    space="",
    gives=None,
    forms=False,
    layouts=False,
    gradgrad=False,
)
op(
    "embedding_renorm_",
    lambda w, i, most, p: np.where(
        np.isin(np.arange(len(w)), i)[:, None], w * np.minimum(1, most / (np.linalg.norm(w, p, 1, True) + 1e-7)), w
    ),
    given(lambda make: (make(5, 3), torch.tensor([0, 2]), 0.5, 2.0)),
    **IN_PLACE | {"space": ""},
    tol=(1e-5, 1e-5),
)
op("float_power_", np.float_power, calls((2,), shapes=((2, 3),)), **IN_PLACE, dtypes="d")
op("index_add_", written(np.add), given(lambda make: (make(3, 4), 0, make.index(5, high=3), make(5, 4))), **IN_PLACE)
op("index_copy_", written(None), given(lambda make: (make(3, 4), 0, torch.tensor([2, 0]), make(2, 4))), **IN_PLACE)
op("scatter_add_", SCATTER_ADD, given(lambda make: (make(3, 4), 0, make.index(2, 4, high=3), make(2, 4))), **IN_PLACE)
op(
    "scatter_",
    lambda x, dim, i, v: (np.put_along_axis(x, i, v, dim), x)[1],
    given(lambda make: (make(3, 4), 1, torch.tensor([[1], [2], [0]]), 2.0)),
    **IN_PLACE,
)
