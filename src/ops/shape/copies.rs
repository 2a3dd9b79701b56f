//! Copies of what views show: `permute_copy` and its like.

use super::axes::squeeze_all;
use super::turn::unfold;
use crate::error::Result;
use crate::shape;
use crate::tensor::Tensor;

macro_rules! copies {
    ($($name:ident $doc:literal $schema:literal => $run:expr;)+) => {
        $(op! {
            #[doc = $doc]
            $name, in [TORCH]; out {
                $schema => |a| {
                    let run: fn(&crate::ops::args::Args) -> Result<Tensor> = $run;
                    run(a)?.clone_recorded(crate::ops::args::MemoryFormat::Contiguous)
                },
            }
        })+
        pub static ROWS: &[&crate::ops::OpDef] = &[
            $(&$name::DEF,)+
            &squeeze_copy::DEF,
            &view_copy::DEF,
            &method::narrow_copy::DEF,
        ];
    };
}
copies! {
    alias_copy " Returns a copy of `input`." "(Tensor input) -> Tensor" => |a| a.tensor(0).alias();
    as_strided_copy " As `as_strided`, with a copy." "(Tensor input, int[] size, int[] stride, int? storage_offset=None) -> Tensor" =>
        |a| a.tensor(0).as_strided_by(a.ints(1), a.ints(2), a.opt_int(3));
    detach_copy " Returns a copy of `input` without history." "(Tensor input) -> Tensor" => |a| Ok(a.tensor(0).detach());
    diagonal_copy " As `diagonal`, with a copy." "(Tensor input, int offset=0, int dim1=0, int dim2=1) -> Tensor" =>
        |a| a.tensor(0).diagonal(a.int(1), a.int(2), a.int(3));
    expand_copy " As `expand`, with a copy." "(Tensor input, int[] size, *, bool implicit=False) -> Tensor" => |a| a.tensor(0).expand(a.ints(1));
    narrow_copy " As `narrow`, with a copy." "(Tensor input, int dim, int start, int length) -> Tensor" =>
        |a| a.tensor(0).narrow(a.int(1), a.int(2), a.int(3));
    permute_copy " As `permute`, with a copy." "(Tensor input, int[] dims) -> Tensor" => |a| a.tensor(0).permute(a.ints(1));
    select_copy " As `select`, with a copy." "(Tensor input, int dim, int index) -> Tensor" => |a| a.tensor(0).select(a.int(1), a.int(2));
    slice_copy " Returns a copy of `input[start:end:step]` along an axis." "(Tensor input, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor" =>
        |a| a.tensor(0).slice(a.int(1), a.opt_int(2), a.opt_int(3), a.int(4));
    t_copy " As `t`, with a copy." "(Tensor input) -> Tensor" => |a| a.tensor(0).t();
    transpose_copy " As `transpose`, with a copy." "(Tensor input, int dim0, int dim1) -> Tensor" => |a| a.tensor(0).transpose(a.int(1), a.int(2));
    unfold_copy " As `Tensor.unfold`, with a copy." "(Tensor input, int dimension, int size, int step) -> Tensor" =>
        |a| unfold(&a.tensor(0), a.int(1), a.int(2), a.int(3));
    unsqueeze_copy " As `unsqueeze`, with a copy." "(Tensor input, int dim) -> Tensor" => |a| a.tensor(0).unsqueeze(a.int(1));
    view_as_real_copy " As `view_as_real`, with a copy." "(Tensor input) -> Tensor" => |a| a.tensor(0).view_as_real();
    view_as_complex_copy " As `view_as_complex`, with a copy." "(Tensor input) -> Tensor" => |a| a.tensor(0).view_as_complex();
}

op! {
    /// As `squeeze`, with a copy.
    squeeze_copy, in [TORCH]; out {
        "(Tensor input) -> Tensor" => |a| squeeze_all(&a.tensor(0))?.clone_data_recorded(),
        "(Tensor input, int dim) -> Tensor" => |a| { let t = a.tensor(0); t.squeeze_dims(&[shape::wrap_dim(a.int(1), t.ndim())?])?.clone_data_recorded() },
        "(Tensor input, int[] dim) -> Tensor" => |a| { let t = a.tensor(0); t.squeeze_dims(&shape::wrap_dims(a.ints(1), t.ndim())?)?.clone_data_recorded() },
    }
}
op! {
    /// Returns a copy of the same elements in another shape, or of the same bytes as another dtype.
    view_copy, in [TORCH]; out {
        "(Tensor input, int[] size) -> Tensor" => |a| a.tensor(0).view(a.ints(1))?.clone_data_recorded(),
        "(Tensor input, ScalarType dtype) -> Tensor" => |a| { let t = a.tensor(0); t.view_dtype(a.dtype(1).unwrap_or(t.dtype()))?.clone_data_recorded() },
    }
}

/// `Tensor.narrow_copy`.
pub mod method {
    op! {
        /// As `narrow`, with a copy.
        narrow_copy, in [METHOD] {
            "(Tensor input, int dim, int start, int length) -> Tensor" =>
                |a| a.tensor(0).narrow(a.int(1), a.int(2), a.int(3))?.clone_recorded(crate::ops::args::MemoryFormat::Contiguous),
        }
    }
}
