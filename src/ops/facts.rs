//! Questions about a tensor, its number, and the casts that are methods of their own.

use super::args::{Args, MemoryFormat, Value};
use super::copy::format_strides;
use crate::device::Device;
use crate::dtype::DType;
use crate::error::Result;
use crate::shape;
use crate::tensor::Tensor;

/// The axis a caller names; a tensor without axes has none to ask about.
fn axis(t: &Tensor, dim: i64) -> Result<usize> {
    crate::check!(
        t.ndim() > 0,
        Index,
        "Dimension specified as {dim} but tensor has no dimensions"
    );
    shape::wrap_dim(dim, t.ndim())
}

/// Whether the elements lie in memory in the order of the format; axes of size one may have any stride.
pub fn is_in_format(t: &Tensor, format: MemoryFormat) -> bool {
    match format_strides(t.sizes(), format) {
        Ok(None) => t.is_contiguous(),
        Ok(Some(want)) => {
            t.numel() == 0 || (0..t.ndim()).all(|d| t.sizes()[d] == 1 || t.strides()[d] == want[d])
        }
        Err(_) => false,
    }
}

fn cast(a: &Args, dtype: DType) -> Result<Tensor> {
    a.tensor(0)
        .to_options(Some(dtype), None, false, a.memory_format(1))
}

/// Axes from the outermost in memory to the innermost.
fn dim_order(t: &Tensor) -> Vec<i64> {
    let mut order: Vec<usize> = (0..t.ndim()).collect();
    order.sort_by_key(|&d| std::cmp::Reverse((t.strides()[d].abs(), t.sizes()[d] != 1)));
    order.into_iter().map(|d| d as i64).collect()
}

op! {
    /// Returns the sizes as a torch.Size or, with `dim`, the size of one axis.
    ///
    /// Raises:
    ///     IndexError: `dim` is not an axis.
    ///
    /// Example::
    ///
    ///     >>> torch.zeros(2, 3).size(-1)
    ///     3
    size, in [METHOD] {
        "(Tensor input, int? dim=None) -> int[]" => |a| {
            let t = a.tensor(0);
            Ok(match a.opt_int(1) {
                None => Value::Size(t.sizes().iter().map(|&n| n as i64).collect()),
                Some(d) => Value::Int(t.sizes()[axis(&t, d)?] as i64),
            })
        },
    }
}
op! {
    /// Returns the strides in elements or, with `dim`, the stride of one axis.
    stride, in [METHOD] {
        "(Tensor input, int? dim=None) -> int[]" => |a| {
            let t = a.tensor(0);
            Ok(match a.opt_int(1) {
                None => Value::Ints(t.strides().iter().map(|&n| n as i64).collect()),
                Some(d) => Value::Int(t.strides()[axis(&t, d)?] as i64),
            })
        },
    }
}
op! {
    /// Returns the number of axes.
    dim, in [METHOD], alias ["ndimension"] {
        "(Tensor input) -> int" => |a| Ok(a.tensor(0).ndim() as i64),
    }
}
op! {
    /// Returns the number of elements.
    numel, in [TORCH, METHOD], alias ["Tensor.nelement"] {
        "(Tensor input) -> int" => |a| Ok(a.tensor(0).numel() as i64),
    }
}
op! {
    /// Returns the bytes of one element.
    element_size, in [METHOD] {
        "(Tensor input) -> int" => |a| Ok(a.tensor(0).dtype().size() as i64),
    }
}
op! {
    /// Returns the position of the first element in the storage, in elements.
    storage_offset, in [METHOD] {
        "(Tensor input) -> int" => |a| Ok(a.tensor(0).offset() as i64),
    }
}
op! {
    /// Returns whether the elements fill memory in row-major order, or in that of `memory_format`.
    is_contiguous, in [METHOD] {
        "(Tensor input, *, MemoryFormat memory_format=contiguous_format) -> bool" => |a|
            Ok(is_in_format(&a.tensor(0), a.memory_format(1).unwrap_or(MemoryFormat::Contiguous))),
    }
}
op! {
    /// Returns the axes in the order they have in memory, outermost first.
    dim_order, in [METHOD] {
        "(Tensor input) -> int[]" => |a| Ok(Value::Ints(dim_order(&a.tensor(0)))),
    }
}
op! {
    /// Returns the number in a tensor of one element as a Python number.
    ///
    /// Raises:
    ///     RuntimeError: the tensor has several elements or none.
    item, in [METHOD] {
        "(Tensor input) -> Scalar" => |a| a.tensor(0).item(),
    }
}
op! {
    /// Returns whether the only element of `input` is not zero.
    is_nonzero, in [TORCH, METHOD] {
        "(Tensor input) -> bool" => |a| {
            let t = a.tensor(0);
            crate::check!(t.numel() != 0, Runtime, "Boolean value of Tensor with no values is ambiguous");
            crate::check!(t.numel() == 1, Runtime, "Boolean value of Tensor with more than one value is ambiguous");
            Ok(t.item()?.to_bool())
        },
    }
}
op! {
    /// Returns whether the dtype is complex.
    is_complex, in [TORCH, METHOD] {
        "(Tensor input) -> bool" => |a| Ok(a.tensor(0).dtype().is_complex()),
    }
}
op! {
    /// Returns whether the dtype is a real floating-point one.
    is_floating_point, in [TORCH, METHOD] {
        "(Tensor input) -> bool" => |a| Ok(a.tensor(0).dtype().is_floating()),
    }
}
op! {
    /// Returns whether the dtype can hold negative numbers.
    is_signed, in [TORCH, METHOD] {
        "(Tensor input) -> bool" => |a| Ok(a.tensor(0).dtype().is_signed()),
    }
}
op! {
    /// Returns False: conjugates are computed when they are asked for.
    is_conj, in [TORCH, METHOD] {
        "(Tensor input) -> bool" => |_| Ok(false),
    }
}
op! {
    /// Returns False: negatives are computed when they are asked for.
    is_neg, in [TORCH, METHOD] {
        "(Tensor input) -> bool" => |_| Ok(false),
    }
}
op! {
    /// Returns `input`: no conjugation is ever pending.
    resolve_conj, in [TORCH, METHOD] {
        "(Tensor input) -> Tensor" => |a| Ok(a.tensor(0)),
    }
}
op! {
    /// Returns `input`: no negation is ever pending.
    resolve_neg, in [TORCH, METHOD] {
        "(Tensor input) -> Tensor" => |a| Ok(a.tensor(0)),
    }
}
op! {
    /// Returns whether both tensors have the same sizes.
    is_same_size, in [TORCH, METHOD] {
        "(Tensor input, Tensor other) -> bool" => |a| Ok(a.tensor(0).sizes() == a.tensor(1).sizes()),
    }
}
op! {
    /// Returns whether both tensors are the same view of the same memory.
    is_set_to, in [METHOD] {
        "(Tensor input, Tensor tensor) -> bool" => |a| {
            let (x, y) = (a.tensor(0), a.tensor(1));
            Ok(x.storage().same(y.storage()) && x.offset() == y.offset() && x.sizes() == y.sizes() && x.strides() == y.strides())
        },
    }
}
op! {
    /// Returns the number of the device, -1 for the CPU.
    get_device, in [TORCH, METHOD] {
        "(Tensor input) -> int" => |a| Ok(match a.tensor(0).device() {
            Device::Cpu => -1i64,
            Device::Gpu(i) => i as i64,
        }),
    }
}
op! {
    /// Returns whether the tensor was made in inference mode.
    is_inference, in [TORCH, METHOD] {
        "(Tensor input) -> bool" => |a| Ok(a.tensor(0).is_inference()),
    }
}
op! {
    /// Returns the number of dense axes: all of them.
    dense_dim, in [METHOD] {
        "(Tensor input) -> int" => |a| Ok(a.tensor(0).ndim() as i64),
    }
}
op! {
    /// Returns the number of sparse axes: none.
    sparse_dim, in [METHOD] {
        "(Tensor input) -> int" => |_| Ok(0i64),
    }
}
op! {
    /// Returns the tensor converted to the dtype of `other`.
    type_as, in [METHOD] {
        "(Tensor input, Tensor other) -> Tensor" => |a| { let o = a.tensor(1); a.tensor(0).to_options(Some(o.dtype()), Some(o.device()), false, None) },
    }
}
op! {
    /// Refuses: no kernel computes in complex32.
    chalf, in [METHOD] {
        "(Tensor input, *, MemoryFormat? memory_format=None) -> Tensor" => |_| -> Result<Tensor> {
            crate::bail!(NotImplemented, "chalf() needs complex32, which is not supported; use x.cfloat()")
        },
    }
}

/// Rows such as `x.double()`.
macro_rules! casts {
    ($($row:ident, $dtype:ident, $doc:literal;)+) => { $(
        op! {
            #[doc = $doc]
            $row, in [METHOD] {
                "(Tensor input, *, MemoryFormat? memory_format=None) -> Tensor" => |a| cast(a, DType::$dtype),
            }
        }
    )+ };
}
casts! {
    float__, F32, " Returns the tensor converted to float32; itself if it has that dtype.";
    double__, F64, " Returns the tensor converted to float64; itself if it has that dtype.";
    half__, F16, " Returns the tensor converted to float16; itself if it has that dtype.";
    bfloat16__, BF16, " Returns the tensor converted to bfloat16; itself if it has that dtype.";
    int__, I32, " Returns the tensor converted to int32; itself if it has that dtype.";
    long__, I64, " Returns the tensor converted to int64; itself if it has that dtype.";
    short__, I16, " Returns the tensor converted to int16; itself if it has that dtype.";
    char__, I8, " Returns the tensor converted to int8; itself if it has that dtype.";
    byte__, U8, " Returns the tensor converted to uint8; itself if it has that dtype.";
    bool__, Bool, " Returns the tensor converted to bool; itself if it has that dtype.";
    cfloat__, C64, " Returns the tensor converted to complex64; itself if it has that dtype.";
    cdouble__, C128, " Returns the tensor converted to complex128; itself if it has that dtype.";
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &size::DEF,
    &stride::DEF,
    &dim::DEF,
    &numel::DEF,
    &element_size::DEF,
    &storage_offset::DEF,
    &is_contiguous::DEF,
    &dim_order::DEF,
    &item::DEF,
    &is_nonzero::DEF,
    &is_complex::DEF,
    &is_floating_point::DEF,
    &is_signed::DEF,
    &is_conj::DEF,
    &is_neg::DEF,
    &resolve_conj::DEF,
    &resolve_neg::DEF,
    &is_same_size::DEF,
    &is_set_to::DEF,
    &get_device::DEF,
    &is_inference::DEF,
    &dense_dim::DEF,
    &sparse_dim::DEF,
    &type_as::DEF,
    &chalf::DEF,
    &float__::DEF,
    &double__::DEF,
    &half__::DEF,
    &bfloat16__::DEF,
    &int__::DEF,
    &long__::DEF,
    &short__::DEF,
    &char__::DEF,
    &byte__::DEF,
    &bool__::DEF,
    &cfloat__::DEF,
    &cdouble__::DEF,
];
