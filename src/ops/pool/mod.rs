//! Pooling over one to three axes and its inverse.

use crate::ops::args::Value;
use crate::tensor::Tensor;
use averages::{adaptive_avg_pool, avg_pool, lp_pool};
use fractional::fractional_max_pool;
use maxima::{adaptive_max_pool, max_pool, max_unpool};

mod averages;
mod fractional;
mod maxima;
mod windows;
pub(super) use windows::{as_usize, each};

/// A pair of results, or the first alone.
fn maybe_indices((out, indices): (Tensor, Tensor), both: bool) -> Value {
    if both {
        Value::Tuple(vec![out, indices])
    } else {
        out.into()
    }
}

macro_rules! pools {
    ($($n:literal $max:ident $max_with:ident $avg:ident $adaptive_avg:ident $adaptive_max:ident $adaptive_max__:ident
       $unpool:ident $lp:ident $max_schema:literal $with_schema:literal $avg_schema:literal $size_schema:literal
       $max_size_schema:literal $unpool_schema:literal $lp_schema:literal;)*) => { $(
        op! {
            /// Returns the maximum of every window.
            ///
            /// Args:
            ///     input: of size (batch, channels, *space); the batch may be missing.
            ///     kernel_size, stride, padding, dilation: one number or one per spatial axis; the stride defaults to the
            ///         kernel size. Padding counts as minus infinity.
            ///     ceil_mode: also take a last window that is only partly inside.
            ///     return_indices: also return where in its plane each maximum lies.
            $max, in [NN, TORCH] {
                $max_schema => |a| Ok(maybe_indices(max_pool(stringify!($max), $n, a)?, a.bool(6))),
            }
        }
        op! {
            /// Returns the maximum of every window and where in its plane it lies.
            $max_with, in [TORCH] {
                $with_schema => |a| max_pool(stringify!($max), $n, a),
            }
        }
        op! {
            /// Returns the average of every window.
            ///
            /// Args:
            ///     input: of size (batch, channels, *space); the batch may be missing.
            ///     kernel_size, stride, padding: one number or one per spatial axis.
            ///     ceil_mode: also take a last window that is only partly inside.
            ///     count_include_pad: whether padding counts as zeros or not at all.
            ///     divisor_override: divide by this number instead.
            $avg, in [NN, TORCH]; out {
                $avg_schema => |a| avg_pool(stringify!($avg), $n, a),
            }
        }
        op! {
            /// Returns averages over windows that cover the input for a given output size.
            $adaptive_avg, in [NN, TORCH] {
                $size_schema => |a| adaptive_avg_pool(stringify!($adaptive_avg), $n, a),
            }
        }
        op! {
            /// Returns maxima over windows that cover the input for a given output size, and on request where they lie.
            $adaptive_max, in [NN] {
                $max_size_schema => |a| {
                    Ok(maybe_indices(adaptive_max_pool(stringify!($adaptive_max), $n, a)?, a.bool(2)))
                },
            }
        }
        op! {
            /// Returns maxima over windows that cover the input for a given output size, and where they lie.
            $adaptive_max__, in [TORCH] {
                $size_schema => |a| adaptive_max_pool(stringify!($adaptive_max), $n, a),
            }
        }
        op! {
            /// Puts every element at its index in a plane of zeros: the inverse of max pooling with indices.
            $unpool, in [NN] {
                $unpool_schema => |a| max_unpool($n, a),
            }
        }
        op! {
            /// Returns the p-norm of every window.
            $lp, in [NN] {
                $lp_schema => |a| lp_pool($n, a),
            }
        }
    )* };
}

pools! {
    1 max_pool1d max_pool1d_with_indices avg_pool1d adaptive_avg_pool1d adaptive_max_pool1d adaptive_max_pool1d__
      max_unpool1d lp_pool1d
      "(Tensor input, int[1] kernel_size, int[1]? stride=[], int[1] padding=0, int[1] dilation=1, bool ceil_mode=False, bool return_indices=False) -> Tensor"
      "(Tensor input, int[1] kernel_size, int[1]? stride=[], int[1] padding=0, int[1] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)"
      "(Tensor input, int[1] kernel_size, int[1]? stride=[], int[1] padding=0, bool ceil_mode=False, bool count_include_pad=True) -> Tensor"
      "(Tensor input, int[1] output_size) -> Tensor"
      "(Tensor input, int[1] output_size, bool return_indices=False) -> Tensor"
      "(Tensor input, Tensor indices, int[1] kernel_size, int[1]? stride=[], int[1] padding=0, int[]? output_size=None) -> Tensor"
      "(Tensor input, Scalar norm_type, int[1] kernel_size, int[1]? stride=[], bool ceil_mode=False) -> Tensor";
    2 max_pool2d max_pool2d_with_indices avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d adaptive_max_pool2d__
      max_unpool2d lp_pool2d
      "(Tensor input, int[2] kernel_size, int[2]? stride=[], int[2] padding=0, int[2] dilation=1, bool ceil_mode=False, bool return_indices=False) -> Tensor"
      "(Tensor input, int[2] kernel_size, int[2]? stride=[], int[2] padding=0, int[2] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)"
      "(Tensor input, int[2] kernel_size, int[2]? stride=[], int[2] padding=0, bool ceil_mode=False, bool count_include_pad=True, int? divisor_override=None) -> Tensor"
      "(Tensor input, int[2] output_size) -> Tensor"
      "(Tensor input, int[2] output_size, bool return_indices=False) -> Tensor"
      "(Tensor input, Tensor indices, int[2] kernel_size, int[2]? stride=[], int[2] padding=0, int[]? output_size=None) -> Tensor"
      "(Tensor input, Scalar norm_type, int[2] kernel_size, int[2]? stride=[], bool ceil_mode=False) -> Tensor";
    3 max_pool3d max_pool3d_with_indices avg_pool3d adaptive_avg_pool3d adaptive_max_pool3d adaptive_max_pool3d__
      max_unpool3d lp_pool3d
      "(Tensor input, int[3] kernel_size, int[3]? stride=[], int[3] padding=0, int[3] dilation=1, bool ceil_mode=False, bool return_indices=False) -> Tensor"
      "(Tensor input, int[3] kernel_size, int[3]? stride=[], int[3] padding=0, int[3] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)"
      "(Tensor input, int[3] kernel_size, int[3]? stride=[], int[3] padding=0, bool ceil_mode=False, bool count_include_pad=True, int? divisor_override=None) -> Tensor"
      "(Tensor input, int[3] output_size) -> Tensor"
      "(Tensor input, int[3] output_size, bool return_indices=False) -> Tensor"
      "(Tensor input, Tensor indices, int[3] kernel_size, int[3]? stride=[], int[3] padding=0, int[]? output_size=None) -> Tensor"
      "(Tensor input, Scalar norm_type, int[3] kernel_size, int[3]? stride=[], bool ceil_mode=False) -> Tensor";
}
op! {
    /// Max pooling over windows at random places, for a given output size or ratio (Graham, 2014).
    fractional_max_pool2d, in [NN] {
        "(Tensor input, int[2] kernel_size, int[2]? output_size=None, float[]? output_ratio=None, bool return_indices=False, Tensor? _random_samples=None) -> Tensor" =>
            |a| Ok(maybe_indices(fractional_max_pool(2, a)?, a.bool(4))),
    }
}
op! {
    /// Max pooling over boxes at random places, for a given output size or ratio (Graham, 2014).
    fractional_max_pool3d, in [NN] {
        "(Tensor input, int[3] kernel_size, int[3]? output_size=None, float[]? output_ratio=None, bool return_indices=False, Tensor? _random_samples=None) -> Tensor" =>
            |a| Ok(maybe_indices(fractional_max_pool(3, a)?, a.bool(4))),
    }
}

#[rustfmt::skip]
pub static ROWS: &[&crate::ops::OpDef] = &[
    &max_pool1d::DEF, &max_pool2d::DEF, &max_pool3d::DEF,
    &max_pool1d_with_indices::DEF, &max_pool2d_with_indices::DEF, &max_pool3d_with_indices::DEF,
    &avg_pool1d::DEF, &avg_pool2d::DEF, &avg_pool3d::DEF,
    &adaptive_avg_pool1d::DEF, &adaptive_avg_pool2d::DEF, &adaptive_avg_pool3d::DEF,
    &adaptive_max_pool1d::DEF, &adaptive_max_pool2d::DEF, &adaptive_max_pool3d::DEF,
    &adaptive_max_pool1d__::DEF, &adaptive_max_pool2d__::DEF, &adaptive_max_pool3d__::DEF,
    &max_unpool1d::DEF, &max_unpool2d::DEF, &max_unpool3d::DEF,
    &lp_pool1d::DEF, &lp_pool2d::DEF, &lp_pool3d::DEF,
    &fractional_max_pool2d::DEF, &fractional_max_pool3d::DEF,
];
