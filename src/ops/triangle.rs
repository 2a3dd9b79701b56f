//! Triangles and diagonals of matrices, and writing into slices of a copy.

use super::create::Options;
use super::view::{as_strided_backward, diagonal_backward};
use crate::autograd::{self, Grads, engine::grads, record_stateless};
use crate::dtype::DType;
use crate::error::Result;
use crate::iter::SendPtr;
use crate::scalar::Scalar;
use crate::shape::{self, Sizes, Strides};
use crate::tensor::Tensor;
use smallvec::SmallVec;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Half {
    Lower,
    Upper,
}

/// The columns of row `i` that stay.
fn kept(half: Half, i: usize, k: i64, columns: usize) -> (usize, usize) {
    let edge = (i as i64).saturating_add(k);
    match half {
        Half::Lower => (0, edge.saturating_add(1).clamp(0, columns as i64) as usize),
        Half::Upper => (edge.clamp(0, columns as i64) as usize, columns),
    }
}

pub fn triangle(x: &Tensor, k: i64, half: Half) -> Result<Tensor> {
    let (op, node) = match half {
        Half::Lower => ("tril", "TrilBackward0"),
        Half::Upper => ("triu", "TriuBackward0"),
    };
    crate::check!(
        x.ndim() >= 2,
        Runtime,
        "{op}: input tensor must have at least 2 dimensions"
    );
    x.need_cpu(op)?;
    let source = autograd::no_grad(|| x.detach().contiguous())?;
    let out = Tensor::empty(x.sizes(), x.dtype(), x.device())?;
    let (rows, columns) = (x.sizes()[x.ndim() - 2], x.sizes()[x.ndim() - 1]);
    let item = x.dtype().size();
    if x.numel() > 0 {
        let (s, d) = (SendPtr(source.data_ptr()), SendPtr(out.data_ptr()));
        crate::cpu::parallel::for_range(
            x.numel() / columns,
            (1 << 14) / columns.max(1) + 1,
            move |from, to| {
                for row in from..to {
                    let (first, end) = kept(half, row % rows, k, columns);
                    let at = row * columns * item;
                    // SAFETY: every row writes its own `columns` elements of a contiguous result and reads the same ones.
                    unsafe {
                        let (s, d) = (s.get().add(at), d.get().add(at));
                        std::ptr::write_bytes(d, 0, first * item);
                        std::ptr::copy_nonoverlapping(
                            s.add(first * item),
                            d.add(first * item),
                            end.saturating_sub(first) * item,
                        );
                        std::ptr::write_bytes(
                            d.add(end.max(first) * item),
                            0,
                            (columns - end.max(first)) * item,
                        );
                    }
                }
            },
        );
    }
    if autograd::needs_grad(&[x]) {
        record_stateless(node, &[x], &[&out], move |g| {
            grads([Some(triangle(&g.get(0)?, k, half)?)])
        });
    }
    Ok(out)
}

/// Rows and columns of a triangle's elements.
fn indices(op: &str, half: Half, rows: i64, columns: i64, k: i64, o: Options) -> Result<Tensor> {
    crate::check!(rows >= 0, Runtime, "row must be non-negative, got{rows}");
    crate::check!(
        columns >= 0,
        Runtime,
        "col must be non-negative, got{columns}"
    );
    let dtype = o.dtype.unwrap_or(DType::I64);
    crate::check!(
        matches!(dtype, DType::I64 | DType::I32),
        NotImplemented,
        "\"{op}\" not implemented for '{}'",
        dtype.scalar_name()
    );
    // Both triangles are at most the whole matrix, which must be countable and fit in memory.
    crate::check!(
        crate::shape::numel(&[rows as usize, columns as usize]).is_ok_and(|n| n < 1 << 26)
            && rows < 1 << 26,
        Runtime,
        "{op}: {rows} x {columns} indices do not fit in memory"
    );
    let span = |i: usize| {
        let (first, end) = kept(half, i, k, columns as usize);
        first as i64..end.max(first) as i64
    };
    let rows = 0..rows as usize;
    let n: usize = rows.clone().map(|i| span(i).count()).sum();
    let mut at: Vec<i64> = crate::list::with_room(2 * n)?;
    at.extend(rows.clone().flat_map(|i| span(i).map(move |_| i as i64)));
    at.extend(rows.flat_map(span));
    o.finish(
        Tensor::from_slice_shaped(&at, &[2, n])?
            .to_dtype(dtype)?
            .to_device(o.device)?,
    )
}

/// Zeros with the last axis of `x` along a diagonal of two new axes.
fn embed(x: &Tensor, offset: i64, dim1: i64, dim2: i64) -> Result<Tensor> {
    let ndim = x.ndim() + 1;
    let (a, b) = (shape::wrap_dim(dim1, ndim)?, shape::wrap_dim(dim2, ndim)?);
    crate::check!(
        a != b,
        Runtime,
        "diagonal dimensions cannot be identical {dim1}, {dim2}"
    );
    crate::check!(
        x.ndim() > 0,
        Index,
        "Dimension out of range (expected to be in range of [-1, 0], but got {dim1})"
    );
    let last = x.ndim() - 1;
    let side = x.sizes()[last].saturating_add(offset.unsigned_abs() as usize);
    let mut lead = x.sizes()[..last].iter();
    let sizes: Sizes = (0..ndim)
        .map(|d| {
            if d == a || d == b {
                side
            } else {
                lead.next().copied().unwrap_or(1)
            }
        })
        .collect();
    let out =
        autograd::no_grad(|| diagonal_backward(&x.detach(), &sizes, offset, a as i64, b as i64))?;
    if autograd::needs_grad(&[x]) {
        record_stateless("DiagEmbedBackward0", &[x], &[&out], move |g| {
            grads([Some(g.get(0)?.diagonal(offset, a as i64, b as i64)?)])
        });
    }
    Ok(out)
}

fn diag(x: &Tensor, k: i64) -> Result<Tensor> {
    match x.ndim() {
        1 => embed(x, k, 0, 1),
        2 => x
            .diagonal(k, 0, 1)?
            .clone_recorded(super::args::MemoryFormat::Contiguous),
        n => crate::bail!(Runtime, "diag(): Supports 1D or 2D tensors. Got {n}D"),
    }
}

/// A copy of `x` with `src` written where `part` points.
fn scatter(
    name: &'static str,
    x: &Tensor,
    src: &Tensor,
    part: impl Fn(&Tensor) -> Result<Tensor> + Clone + 'static,
) -> Result<Tensor> {
    let out = autograd::no_grad(|| -> Result<Tensor> {
        let out = x.clone_data()?;
        let hole = part(&out)?;
        crate::check!(
            hole.sizes() == src.sizes(),
            Runtime,
            "expected src to have a size equal to the slice of self. src size = {}, slice size = {}",
            shape::list(src.sizes()),
            shape::list(hole.sizes())
        );
        hole.write_from(src)?;
        Ok(out)
    })?;
    if autograd::needs_grad(&[x, src]) {
        let src_sizes: Sizes = SmallVec::from_slice(src.sizes());
        record_stateless(name, &[x, src], &[&out], move |g: &Grads| {
            let whole = g.get(0)?;
            let to_x = g.when(0, || {
                let zeros = Tensor::zeros(&src_sizes, whole.dtype(), whole.device())?;
                scatter(name, &whole, &zeros, part.clone())
            })?;
            grads([to_x, g.when(1, || part(&whole))?])
        });
    }
    Ok(out)
}

/// As `scatter` for a view of the whole storage: `flat` is a copy of it, `own` shows `x` in it.
fn scatter_strided(
    x: &Tensor,
    flat: &Tensor,
    src: &Tensor,
    part: impl Fn(&Tensor) -> Result<Tensor> + Clone + 'static,
    own: impl Fn(&Tensor) -> Result<Tensor> + Clone + 'static,
) -> Result<Tensor> {
    const NAME: &str = "AsStridedScatterBackward0";
    let out = autograd::no_grad(|| own(&scatter(NAME, flat, src, part.clone())?))?.data_alias();
    if autograd::needs_grad(&[x, src]) {
        let (room, src_sizes): (usize, Sizes) = (flat.numel(), SmallVec::from_slice(src.sizes()));
        let (sizes, strides, start): (Sizes, Strides, isize) = (
            SmallVec::from_slice(out.sizes()),
            SmallVec::from_slice(out.strides()),
            out.offset() as isize,
        );
        record_stateless(NAME, &[x, src], &[&out], move |g: &Grads| {
            let whole = as_strided_backward(&g.get(0)?, &[room], &[1], &sizes, &strides, start)?;
            let to_x = g.when(0, || {
                let zeros = Tensor::zeros(&src_sizes, whole.dtype(), whole.device())?;
                own(&scatter(NAME, &whole, &zeros, part.clone())?)
            })?;
            grads([to_x, g.when(1, || part(&whole))?])
        });
    }
    Ok(out)
}

/// Sets the main diagonal; with `wrap`, of every square block below a tall matrix's first as well.
fn fill_diagonal(x: &Tensor, value: Scalar, wrap: bool) -> Result<Tensor> {
    autograd::inplace::check(x, autograd::needs_grad(&[x]))?;
    crate::check!(x.ndim() >= 2, Runtime, "dimensions must larger than 1");
    let (rows, columns) = (x.sizes()[0], x.sizes()[1]);
    if x.ndim() > 2 {
        crate::check!(
            x.sizes().iter().all(|&n| n == rows),
            Runtime,
            "all dimensions of input must be of equal length"
        );
    }
    let step: isize = x.strides().iter().sum();
    let len = x.sizes().iter().copied().min().unwrap_or(0);
    if len > 0 {
        x.as_strided_at(&[len], &[step], 0)?.fill_(value)?;
    }
    if wrap && x.ndim() == 2 && rows > columns + 1 && columns > 0 {
        // Blocks of `columns` rows with one row left free between them.
        let mut first = columns + 1;
        while first < rows {
            let n = columns.min(rows - first);
            x.as_strided_at(&[n], &[step], x.strides()[0] * first as isize)?
                .fill_(value)?;
            first += columns + 1;
        }
    }
    Ok(x.clone())
}

op! {
    /// Returns the part of matrices on and below a diagonal, zeros elsewhere.
    ///
    /// Args:
    ///     input: matrices, in the last two axes.
    ///     diagonal: how far the diagonal lies above the main one.
    tril, in [TORCH, METHOD]; out, in_place {
        "(Tensor input, int diagonal=0) -> Tensor" => |a| triangle(&a.tensor(0), a.int(1), Half::Lower),
    }
}
op! {
    /// Returns the part of matrices on and above a diagonal, zeros elsewhere.
    triu, in [TORCH, METHOD]; out, in_place {
        "(Tensor input, int diagonal=0) -> Tensor" => |a| triangle(&a.tensor(0), a.int(1), Half::Upper),
    }
}
op! {
    /// Returns the rows and the columns of the elements on and below a diagonal.
    tril_indices, in [TORCH] {
        "(int row, int col, int offset=0, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| indices("tril_indices", Half::Lower, a.int(0), a.int(1), a.int(2), Options::at(a, 3)),
    }
}
op! {
    /// Returns the rows and the columns of the elements on and above a diagonal.
    triu_indices, in [TORCH] {
        "(int row, int col, int offset=0, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=False, bool? requires_grad=False) -> Tensor" =>
            |a| indices("triu_indices", Half::Upper, a.int(0), a.int(1), a.int(2), Options::at(a, 3)),
    }
}
op! {
    /// Returns a matrix with a vector on its diagonal, or a copy of the diagonal of a matrix.
    diag__, in [TORCH, METHOD]; out {
        "(Tensor input, int diagonal=0) -> Tensor" => |a| diag(&a.tensor(0), a.int(1)),
    }
}
op! {
    /// Returns the sum of the diagonal of a matrix.
    trace, in [TORCH, METHOD]; out {
        "(Tensor input) -> Tensor" => |a| {
            let t = a.tensor(0);
            crate::check!(t.ndim() == 2, Runtime, "trace: expected a matrix, but got tensor with dim {}", t.ndim());
            Ok(t.diagonal(0, 0, 1)?.sum_all()?.named("TraceBackward0"))
        },
    }
}
op! {
    /// Returns a view of a diagonal of two axes, as the last axis.
    diagonal, in [TORCH, METHOD] {
        "(Tensor input, int offset=0, int dim1=0, int dim2=1) -> Tensor" => |a| a.tensor(0).diagonal(a.int(1), a.int(2), a.int(3)),
    }
}
op! {
    /// Returns a matrix with the elements of `input` in a row on its diagonal.
    diagflat, in [TORCH, METHOD] {
        "(Tensor input, int offset=0) -> Tensor" => |a| embed(&a.tensor(0).reshape(&[-1])?, a.int(1), 0, 1),
    }
}
op! {
    /// Returns zeros with the last axis of `input` along a diagonal of two new axes.
    diag_embed, in [TORCH, METHOD] {
        "(Tensor input, int offset=0, int dim1=-2, int dim2=-1) -> Tensor" => |a| embed(&a.tensor(0), a.int(1), a.int(2), a.int(3)),
    }
}
op! {
    /// Returns a copy of `input` with `src` on a diagonal of two axes.
    diagonal_scatter, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor src, int offset=0, int dim1=0, int dim2=1) -> Tensor" => |a| {
            let (k, i, j) = (a.int(2), a.int(3), a.int(4));
            scatter("DiagonalScatterBackward0", &a.tensor(0), &a.tensor(1), move |t| t.diagonal(k, i, j))
        },
    }
}
op! {
    /// Returns a copy of `input` with `src` at one index of an axis.
    select_scatter, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor src, int dim, int index) -> Tensor" => |a| {
            let (d, i) = (a.int(2), a.int(3));
            scatter("SelectScatterBackward0", &a.tensor(0), &a.tensor(1), move |t| t.select(d, i))
        },
    }
}
op! {
    /// Returns a copy of `input` with `src` in `start:end:step` of an axis.
    slice_scatter, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor src, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor" => |a| {
            let (d, start, end, step) = (a.int(2), a.opt_int(3), a.opt_int(4), a.int(5));
            scatter("SliceScatterBackward0", &a.tensor(0), &a.tensor(1), move |t| t.slice(d, start, end, step))
        },
    }
}
op! {
    /// Returns a copy of `input` with `src` written through a view of any sizes and strides.
    as_strided_scatter, in [TORCH, METHOD]; out {
        "(Tensor input, Tensor src, int[] size, int[] stride, int? storage_offset=None) -> Tensor" => |a| {
            let x = a.tensor(0);
            // The view is one of the whole storage, so the copy has its layout.
            let room = x.storage().bytes() / x.dtype().size();
            let flat = autograd::no_grad(|| x.detach().as_strided(&[room], &[1], 0)?.clone_data())?;
            let (sizes, strides, offset) = (a.ints(2).to_vec(), a.ints(3).to_vec(), a.opt_int(4).unwrap_or(x.offset() as i64));
            let (own_sizes, own_strides, start) = (x.sizes().to_vec(), x.strides().to_vec(), x.offset());
            scatter_strided(&x, &flat, &a.tensor(1), move |t| t.as_strided_by(&sizes, &strides, Some(offset)), move |t| {
                t.as_strided(&own_sizes, &own_strides, start)
            })
        },
    }
}
op! {
    /// Sets the elements with equal indices to `fill_value`; with `wrap`, goes on below the end of a tall matrix.
    fill_diagonal_, in [METHOD] {
        "(Tensor input, Scalar fill_value, bool wrap=False) -> Tensor" => |a| fill_diagonal(&a.tensor(0), a.scalar(1), a.bool(2)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &tril::DEF,
    &triu::DEF,
    &tril_indices::DEF,
    &triu_indices::DEF,
    &diag__::DEF,
    &trace::DEF,
    &diagonal::DEF,
    &diagflat::DEF,
    &diag_embed::DEF,
    &diagonal_scatter::DEF,
    &select_scatter::DEF,
    &slice_scatter::DEF,
    &as_strided_scatter::DEF,
    &fill_diagonal_::DEF,
];
