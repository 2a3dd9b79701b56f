//! Norms of matrices and what is read off them: condition numbers and ranks.

use super::*;

/// An order as `norm`, `matrix_norm` and `cond` take it.
#[derive(Clone, Copy)]
pub(in crate::ops) enum Order<'a> {
    Number(f64),
    Name(&'a str),
}

impl std::fmt::Display for Order<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Order::Number(p) => write!(f, "{p}"),
            Order::Name(s) => f.write_str(s),
        }
    }
}

const MATRIX_NORM: &str = "linalg.matrix_norm";

/// The norm of the matrices that two axes hold.
pub(in crate::ops) fn matrix_norm(
    x: &Tensor,
    order: Order,
    dims: &[i64],
    keepdim: bool,
    dtype: Option<DType>,
) -> Result<Tensor> {
    crate::check!(
        x.ndim() >= 2,
        Runtime,
        "{MATRIX_NORM}: The input tensor A must have at least 2 dimensions."
    );
    crate::check!(
        x.dtype().is_differentiable(),
        Runtime,
        "{MATRIX_NORM}: Expected a floating point or complex tensor as input. Got {}",
        x.dtype().scalar_name()
    );
    let shown: Vec<String> = dims.iter().map(|d| d.to_string()).collect();
    let &[first, second] = dims else {
        crate::bail!(
            Runtime,
            "{MATRIX_NORM}: dim must be a 2-tuple. Got {}",
            shown.join(" ")
        )
    };
    let at = [
        shape::wrap_dim(first, x.ndim())?,
        shape::wrap_dim(second, x.ndim())?,
    ];
    crate::check!(
        at[0] != at[1],
        Runtime,
        "{MATRIX_NORM}: dims must be different. Got ({first}, {second})"
    );
    if let Some(d) = dtype {
        let kind = if x.dtype().is_complex() {
            "complex"
        } else {
            "real"
        };
        crate::check!(
            d.is_differentiable(),
            Runtime,
            "{MATRIX_NORM}: dtype should be floating point or complex, but got {}",
            d.scalar_name()
        );
        crate::check!(
            d.is_complex() == x.dtype().is_complex(),
            Runtime,
            "{MATRIX_NORM}: dtype should be {kind} for {kind} inputs, but got {}",
            d.scalar_name()
        );
    }
    let x = &x.to_dtype(dtype.unwrap_or(x.dtype()))?;
    let p = match order {
        Order::Name("fro") => return x.vector_norm(2.0, Some(dims), keepdim, None),
        Order::Name("nuc") => {
            check_precision(MATRIX_NORM, x)?;
            let s = singular_values(x, at)?;
            let out = s.sum_dims(&[s.ndim() - 1], false)?;
            return kept(out, at, keepdim);
        }
        Order::Number(p) if p.abs() == 1.0 || p.abs() == 2.0 || p.is_infinite() => p,
        _ => crate::bail!(Runtime, "{MATRIX_NORM}: Order {order} not supported."),
    };
    if p.abs() == 2.0 {
        check_precision(MATRIX_NORM, x)?;
        let s = singular_values(x, at)?;
        let out = most(&s, s.ndim() - 1, p > 0.0)?;
        return kept(out, at, keepdim);
    }
    // Sums over rows for 1, over columns for infinity; then the largest or smallest of them.
    let (sums, over) = if p.is_infinite() {
        (at[1], at[0])
    } else {
        (at[0], at[1])
    };
    let s = x.vector_norm(1.0, Some(&[sums as i64]), false, None)?;
    let out = most(&s, if over > sums { over - 1 } else { over }, p > 0.0)?;
    kept(out, at, keepdim)
}

fn check_precision(op: &str, x: &Tensor) -> Result<()> {
    crate::check!(
        !matches!(x.dtype(), DType::F16 | DType::BF16),
        Runtime,
        "{op}: Low precision dtypes not supported. Got {}",
        x.dtype().scalar_name()
    );
    x.need_cpu(op)
}

/// The largest or smallest along an axis; the largest of nothing is 0, as all are at least that.
fn most(x: &Tensor, d: usize, largest: bool) -> Result<Tensor> {
    if largest && x.sizes()[d] == 0 {
        return x.sum_dims(&[d], false);
    }
    let name = if largest {
        "AmaxBackward0"
    } else {
        "AminBackward0"
    };
    x.extreme(!largest, &[d], false, name)
}

fn singular_values(x: &Tensor, at: [usize; 2]) -> Result<Tensor> {
    let mut order: Vec<i64> = (0..x.ndim())
        .filter(|d| !at.contains(d))
        .map(|d| d as i64)
        .collect();
    order.extend(at.map(|d| d as i64));
    Ok(svd(&x.permute(&order)?, false)?.1)
}

/// Puts ones back where two axes were.
fn kept(mut out: Tensor, mut at: [usize; 2], keepdim: bool) -> Result<Tensor> {
    if keepdim {
        at.sort_unstable();
        for d in at {
            out = out.unsqueeze(d as i64)?;
        }
    }
    Ok(out)
}

/// `torch.linalg.norm`: of vectors or matrices, as the axes and the order say.
fn norm(
    x: &Tensor,
    order: Option<Order>,
    dims: Option<&[i64]>,
    keepdim: bool,
    dtype: Option<DType>,
) -> Result<Tensor> {
    match dims {
        Some(d) => crate::check!(
            d.len() == 1 || d.len() == 2,
            Runtime,
            "linalg.norm: If dim is specified, it must be of length 1 or 2. Got {}",
            shape::list(d)
        ),
        None => crate::check!(
            order.is_none() || matches!(x.ndim(), 1 | 2),
            Runtime,
            "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {}D.",
            x.ndim()
        ),
    }
    let matrix = dims.map_or(x.ndim(), |d| d.len()) == 2;
    match order {
        None => x.vector_norm(2.0, dims, keepdim, dtype),
        Some(Order::Number(p)) if !matrix => x.vector_norm(p, dims, keepdim, dtype),
        Some(order) => matrix_norm(x, order, dims.unwrap_or(&[-2, -1]), keepdim, dtype),
    }
}

/// The norm of matrices times that of their inverses.
fn cond(a: &Tensor, order: Option<Order>) -> Result<Tensor> {
    crate::check!(
        a.ndim() >= 2,
        Runtime,
        "linalg.cond: The input tensor must have at least 2 dimensions."
    );
    let order = order.unwrap_or(Order::Number(2.0));
    if let Order::Number(p) = order
        && p.abs() == 2.0
    {
        if a.numel() == 0 {
            return no_elements(a);
        }
        crate::check!(
            !matches!(a.dtype(), DType::F16 | DType::BF16),
            NotImplemented,
            "\"linalg_svd_cpu\" not implemented for '{}'",
            a.dtype().scalar_name()
        );
        let s = svd(a, false)?.1;
        let (largest, smallest) = (s.narrow(-1, 0, 1)?, s.narrow(-1, -1, 1)?);
        let out = if p > 0.0 {
            largest.div(&smallest)?
        } else {
            smallest.div(&largest)?
        };
        return out.squeeze_dims(&[out.ndim() - 1]);
    }
    let known = match order {
        Order::Number(p) => p.abs() == 1.0 || p.is_infinite(),
        Order::Name(s) => matches!(s, "fro" | "nuc"),
    };
    crate::check!(
        known,
        Runtime,
        "linalg.cond got an invalid norm type: {order}"
    );
    check_square(&format!("linalg.cond(ord={order})"), a)?;
    if a.numel() == 0 {
        return no_elements(a);
    }
    if let Order::Name("nuc") = order {
        let s = svd(a, false)?.1;
        let last = [s.ndim() - 1];
        return s
            .sum_dims(&last, false)?
            .mul(&s.reciprocal()?.sum_dims(&last, false)?);
    }
    let (inverse, info) = systems::inverse_with_infos(a)?;
    let of = |t: &Tensor| matrix_norm(t, order, &[-2, -1], false, None);
    let out = of(a)?.mul(&of(&inverse)?)?;
    let singular: Vec<bool> = info.iter().map(|&i| i != 0).collect();
    if singular.contains(&true) {
        let at = Tensor::from_slice_shaped(&singular, out.sizes())?;
        return at.where_(&Tensor::scalar(f64::INFINITY, out.dtype())?, &out);
    }
    Ok(out)
}

/// The condition numbers of matrices without elements.
fn no_elements(a: &Tensor) -> Result<Tensor> {
    Tensor::zeros(&a.sizes()[..a.ndim() - 2], a.dtype().to_real(), a.device())
}

/// How far singular values have to be from zero to count: a tensor for each matrix, or one number for all.
pub(in crate::ops) fn tolerance(
    s: &Tensor,
    (m, n): (usize, usize),
    atol: Option<&Tensor>,
    rtol: Option<&Tensor>,
) -> Result<Tensor> {
    let epsilon = if s.dtype() == DType::F64 {
        f64::EPSILON
    } else {
        f64::from(f32::EPSILON)
    };
    let default = Tensor::scalar(epsilon * m.max(n) as f64, s.dtype())?;
    let zero = Tensor::scalar(0.0, s.dtype())?;
    let rtol = match (rtol, atol) {
        (Some(r), _) => r.to_dtype(s.dtype())?,
        (None, Some(a)) => a.gt(&zero)?.where_(&zero, &default)?,
        (None, None) => default,
    };
    let largest = s.amax(&[s.ndim() - 1], false)?;
    let relative = rtol.mul(&largest)?;
    match atol {
        Some(a) => relative.maximum(&a.to_dtype(s.dtype())?),
        None => Ok(relative),
    }
}

const MATRIX_RANK: &str = "torch.linalg.matrix_rank";

fn matrix_rank(
    a: &Tensor,
    atol: Option<&Tensor>,
    rtol: Option<&Tensor>,
    hermitian: bool,
) -> Result<Tensor> {
    crate::check!(
        a.ndim() >= 2,
        Runtime,
        "{MATRIX_RANK}: The input tensor input must have at least 2 dimensions."
    );
    for (name, t) in [("atol", atol), ("rtol", rtol)] {
        if let Some(t) = t {
            crate::check!(
                !t.dtype().is_complex(),
                Runtime,
                "{MATRIX_RANK}: {name} tensor of complex type is not supported. Got {}",
                t.dtype().scalar_name()
            );
        }
    }
    crate::check!(
        matches!(a.dtype(), DType::F32 | DType::F64) || a.dtype().is_complex(),
        Runtime,
        "This function doesn't handle types other than float and double"
    );
    autograd::no_grad(|| {
        let a = a.detach();
        let batch = &a.sizes()[..a.ndim() - 2];
        if hermitian {
            check_square("linalg.eigh", &a)?;
        }
        if a.numel() == 0 {
            return Tensor::zeros(batch, DType::I64, a.device());
        }
        let s = if hermitian {
            decompose::eigh("linalg.eigh", &a, "L")?.0.abs()?
        } else {
            svd(&a, false)?.1
        };
        let limit = tolerance(&s, (a.size(-2)?, a.size(-1)?), atol, rtol)?;
        s.gt(&limit.unsqueeze(-1)?)?
            .sum_with(&[s.ndim() - 1], false, Some(DType::I64))
    })
}

/// A number as the tensor form of the tolerances.
pub(super) fn number(v: Option<f64>) -> Result<Option<Tensor>> {
    v.map(|v| Tensor::scalar(v, DType::F64)).transpose()
}

fn order_of(a: &crate::ops::args::Args, at: usize) -> Option<f64> {
    a.opt_scalar(at).map(|s| s.to_f64())
}

op! {
    /// Returns the norm of a vector or matrix.
    ///
    /// Args:
    ///     input: floating point or complex, any shape.
    ///     ord: for matrices "fro", "nuc", 1, -1, 2, -2, inf or -inf; for vectors any number. Default: the 2-norm of all
    ///         elements.
    ///     dim: one axis for vectors, two for matrices. Default: all.
    ///     keepdim: whether reduced axes stay with size 1.
    ///     dtype: computed in and returned, its real counterpart for complex.
    ///
    /// Example:
    ///     >>> torch.linalg.norm(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
    ///     tensor(5.)
    norm, in [LINALG]; out {
        "(Tensor input, Scalar? ord=None, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor" =>
            |a| super::norm(&a.tensor(0), order_of(a, 1).map(Order::Number), a.opt_ints(2), a.bool(3), a.dtype(4)),
        "(Tensor input, str ord, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor" =>
            |a| super::norm(&a.tensor(0), Some(Order::Name(a.str(1))), a.opt_ints(2), a.bool(3), a.dtype(4)),
    }
}
op! {
    /// Returns the norm of matrices.
    ///
    /// Args:
    ///     input: floating point or complex, of size (*, m, n).
    ///     ord: "fro" (root of the sum of squares), "nuc" (sum of singular values), 1 and -1 (largest and smallest sum of
    ///         a column), inf and -inf (of a row), 2 and -2 (largest and smallest singular value).
    ///     dim: the axes of the matrices. Default: the last two.
    ///
    /// Example:
    ///     >>> torch.linalg.matrix_norm(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    ///     tensor(6.)
    matrix_norm, in [LINALG]; out {
        "(Tensor input, Scalar ord, int[] dim=[-2, -1], bool keepdim=False, *, ScalarType? dtype=None) -> Tensor" => |a| {
            let order = Order::Number(a.scalar(1).to_f64());
            super::matrix_norm(&a.tensor(0), order, a.ints(2), a.bool(3), a.dtype(4))
        },
        "(Tensor input, str ord='fro', int[] dim=[-2, -1], bool keepdim=False, *, ScalarType? dtype=None) -> Tensor" =>
            |a| super::matrix_norm(&a.tensor(0), Order::Name(a.str(1)), a.ints(2), a.bool(3), a.dtype(4)),
    }
}
op! {
    /// Returns the condition number of matrices, the norm of `input` times that of its inverse.
    ///
    /// Args:
    ///     input: of size (*, m, n); square unless `p` is None, 2 or -2.
    ///     p: an order of `matrix_norm`; with None and 2 the quotient of the largest and smallest singular value.
    ///
    /// Returns:
    ///     Infinity for a singular matrix.
    ///
    /// Example:
    ///     >>> torch.linalg.cond(torch.tensor([[2.0, 0.0], [0.0, 8.0]]), 1)
    ///     tensor(4.)
    cond, in [LINALG]; out {
        "(Tensor input, Scalar? p=None) -> Tensor" => |a| super::cond(&a.tensor(0), order_of(a, 1).map(Order::Number)),
        "(Tensor input, str p) -> Tensor" => |a| super::cond(&a.tensor(0), Some(Order::Name(a.str(1)))),
    }
}
op! {
    /// Returns the number of singular values above `max(atol, rtol * largest)`.
    ///
    /// Args:
    ///     input: of size (*, m, n).
    ///     atol, rtol: the tolerances, numbers or a tensor with one for each matrix. Default: 0, and the dtype's epsilon
    ///         times max(m, n) unless `atol` is above 0.
    ///     hermitian: counts the eigenvalues of symmetric or Hermitian matrices instead, which is faster.
    ///     tol: as `atol` with `rtol=0`.
    ///
    /// Example:
    ///     >>> torch.linalg.matrix_rank(torch.ones(3, 3))
    ///     tensor(1)
    matrix_rank, in [LINALG]; out {
        "(Tensor input, *, float? atol=None, float? rtol=None, bool hermitian=False) -> Tensor" => |a| {
            let (atol, rtol) = (number(a.opt_float(1))?, number(a.opt_float(2))?);
            super::matrix_rank(&a.tensor(0), atol.as_ref(), rtol.as_ref(), a.bool(3))
        },
        "(Tensor input, *, Tensor? atol=None, Tensor? rtol=None, bool hermitian=False) -> Tensor" =>
            |a| super::matrix_rank(&a.tensor(0), a.opt_tensor(1), a.opt_tensor(2), a.bool(3)),
        "(Tensor input, float tol, bool hermitian=False) -> Tensor" => |a| {
            let (tol, none) = (number(a.opt_float(1))?, number(Some(0.0))?);
            super::matrix_rank(&a.tensor(0), tol.as_ref(), none.as_ref(), a.bool(2))
        },
        "(Tensor input, Tensor tol, bool hermitian=False) -> Tensor" =>
            |a| super::matrix_rank(&a.tensor(0), a.opt_tensor(1), number(Some(0.0))?.as_ref(), a.bool(2)),
    }
}
op! {
    /// Returns the diagonals of matrices as a view.
    ///
    /// Args:
    ///     A: at least two-dimensional.
    ///     offset: above (positive) or below the main diagonal.
    ///     dim1, dim2: the axes of the matrices. Default: the last two.
    ///
    /// Example:
    ///     >>> torch.linalg.diagonal(torch.tensor([[1, 2], [3, 4]]))
    ///     tensor([1, 4])
    diagonal, in [LINALG] {
        "(Tensor A, *, int offset=0, int dim1=-2, int dim2=-1) -> Tensor" =>
            |a| a.tensor(0).diagonal(a.int(1), a.int(2), a.int(3)),
    }
}

#[rustfmt::skip]
pub static ROWS: &[&crate::ops::OpDef] =
    &[&norm::DEF, &matrix_norm::DEF, &cond::DEF, &matrix_rank::DEF, &diagonal::DEF];
