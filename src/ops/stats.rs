//! Variances, covariances, quantiles and integrals by trapezoids.

use super::minmax::pick;
use super::reduce::{self, Kind, Shape, axes};
use crate::autograd::{self, Saved, engine::grads, record};
use crate::dtype::{DType, default_dtype};
use crate::error::Result;
use crate::ops::args::Args;
use crate::scalar::Scalar;
use crate::shape;
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// The gradient of a variance.
fn var_backward(g: &Tensor, x: &Tensor, s: &Shape, correction: f64) -> Result<Tensor> {
    let free = (s.count() as f64 - correction).max(0.0);
    let mean = x.mean_dims(&s.dims, true)?;
    if free == 0.0 {
        // The variance is infinite, or undefined where all elements are equal.
        let flat = autograd::no_grad(|| x.eq(&mean))?;
        return g.mul(
            &flat
                .where_(
                    &Tensor::wrapped(f64::NAN)?,
                    &Tensor::wrapped(f64::INFINITY)?,
                )?
                .to_dtype(x.dtype())?,
        );
    }
    g.mul(&x.sub(&mean)?)?.mul_scalar(2.0 / free)
}

impl Tensor {
    /// The variance over axes, or with `root` its square root.
    pub fn variance(
        &self,
        root: bool,
        dims: Option<&[i64]>,
        correction: f64,
        keepdim: bool,
    ) -> Result<Tensor> {
        if self.dtype().is_complex() {
            let at = axes(dims, self.ndim())?;
            let at: SmallVec<[i64; 6]> = at.iter().map(|&d| d as i64).collect();
            if at.is_empty() && self.ndim() > 0 {
                crate::bail!(Runtime, "var(): expected at least one axis");
            }
            let part = |t: Tensor| {
                t.variance(
                    false,
                    Some(&at).filter(|a| !a.is_empty()).map(|a| a.as_slice()),
                    correction,
                    keepdim,
                )
            };
            let sum = part(self.real()?)?.add(&part(self.imag()?)?)?;
            return if root { sum.sqrt() } else { Ok(sum) };
        }
        let at = axes(dims, self.ndim())?;
        // Half types are rounded once, after the root.
        let wide = autograd::no_grad(|| self.detach().to_dtype(self.dtype().compute()))?;
        let out = reduce::reduce(Kind::Var(correction), &wide, &at, keepdim)?;
        let out = autograd::no_grad(|| {
            if root {
                out.sqrt()?.to_dtype(self.dtype())
            } else {
                out.to_dtype(self.dtype())
            }
        })?;
        if autograd::needs_grad(&[self]) {
            let s = Shape::of(self, &at, keepdim);
            let xs = Saved::input(self);
            let ys = if root {
                Some(Saved::output(&out, 0))
            } else {
                None
            };
            record(
                if root { "StdBackward0" } else { "VarBackward0" },
                &[self],
                &[&out],
                move |g| {
                    let mut grad = g.get(0)?;
                    if let Some(ys) = &ys {
                        let y = ys.get(g)?;
                        let (zero, one) = (Tensor::wrapped(0i64)?, Tensor::wrapped(1i64)?);
                        let flat = autograd::no_grad(|| y.eq(&zero))?;
                        grad = flat
                            .where_(&zero, &grad.div(&flat.where_(&one, &y)?)?.mul_scalar(0.5)?)?;
                    }
                    grads([Some(var_backward(
                        &s.restore(&grad)?,
                        &xs.get(g)?,
                        &s,
                        correction,
                    )?)])
                },
            );
        }
        Ok(out)
    }
}

/// What the three overloads of a variance say: axes, correction, keepdim.
struct Asked {
    dims: Option<SmallVec<[i64; 6]>>,
    correction: f64,
    keepdim: bool,
}

impl Asked {
    fn whole(a: &Args) -> Asked {
        Asked {
            dims: None,
            correction: if a.bool(1) { 1.0 } else { 0.0 },
            keepdim: false,
        }
    }
    fn unbiased(a: &Args) -> Asked {
        Asked {
            dims: a.opt_ints(1).map(SmallVec::from_slice),
            correction: if a.bool(2) { 1.0 } else { 0.0 },
            keepdim: a.bool(3),
        }
    }
    fn corrected(a: &Args) -> Asked {
        Asked {
            dims: a.opt_ints(1).map(SmallVec::from_slice),
            correction: a.opt_scalar(2).map_or(1.0, Scalar::to_f64),
            keepdim: a.bool(3),
        }
    }

    fn spread(&self, root: bool, x: &Tensor) -> Result<Tensor> {
        crate::check!(
            x.dtype().is_differentiable(),
            Runtime,
            "std and var only support floating point and complex dtypes"
        );
        x.variance(root, self.dims.as_deref(), self.correction, self.keepdim)
    }

    fn with_mean(&self, root: bool, x: &Tensor) -> Result<(Tensor, Tensor)> {
        crate::check!(
            x.dtype().is_differentiable(),
            Runtime,
            "{}_mean only support floating point and complex dtypes",
            if root { "std" } else { "var" }
        );
        let spread = x.variance(root, self.dims.as_deref(), self.correction, self.keepdim)?;
        Ok((
            spread,
            x.mean_dims(&axes(self.dims.as_deref(), x.ndim())?, self.keepdim)?,
        ))
    }
}

/// The overloads that `std`, `var` and their pairs with the mean share.
macro_rules! spread_row {
    ($name:ident, $doc:literal, [$($flag:ident)?], $method:ident($root:literal)) => {
        op! {
            #[doc = $doc]
            #[doc = " The divisor is `n - correction`; `unbiased` stands for a correction of 1, else 0."]
            $name, in [TORCH, METHOD] $(; $flag)? {
                "(Tensor input, bool unbiased=True) -> Tensor" => |a| Asked::whole(a).$method($root, &a.tensor(0)),
                "(Tensor input, int[1]? dim, bool unbiased=True, bool keepdim=False) -> Tensor" =>
                    |a| Asked::unbiased(a).$method($root, &a.tensor(0)),
                "(Tensor input, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> Tensor" =>
                    |a| Asked::corrected(a).$method($root, &a.tensor(0)),
            }
        }
    };
}
spread_row!(
    std,
    " Returns the standard deviation of `input`, over `dim` if given.",
    [out],
    spread(true)
);
spread_row!(
    var,
    " Returns the variance of `input`, over `dim` if given.",
    [out],
    spread(false)
);
spread_row!(
    std_mean,
    " Returns the standard deviation and the mean of `input`, over `dim` if given.",
    [],
    with_mean(true)
);
spread_row!(
    var_mean,
    " Returns the variance and the mean of `input`, over `dim` if given.",
    [],
    with_mean(false)
);

fn cov(
    x: &Tensor,
    correction: i64,
    fweights: Option<&Tensor>,
    aweights: Option<&Tensor>,
) -> Result<Tensor> {
    crate::check!(
        x.ndim() <= 2,
        Runtime,
        "cov(): expected input to have two or fewer dimensions but got an input with {} dimensions",
        x.ndim()
    );
    crate::check!(
        x.dtype() != DType::Bool,
        Runtime,
        "cov(): bool dtype is not supported for input"
    );
    let x = if x.ndim() < 2 {
        x.reshape(&[1, -1])?
    } else {
        x.clone()
    };
    let n = x.sizes()[1];
    for (name, w, kind, fits) in [
        (
            "fweights",
            fweights,
            "integral",
            fweights.is_none_or(|w| w.dtype().is_integral()),
        ),
        (
            "aweights",
            aweights,
            "floating point",
            aweights.is_none_or(|w| w.dtype().is_floating()),
        ),
    ] {
        let Some(w) = w else { continue };
        crate::check!(
            w.ndim() <= 1,
            Runtime,
            "cov(): expected {name} to have one or fewer dimensions but got {name} with {} dimensions",
            w.ndim()
        );
        crate::check!(
            fits,
            Runtime,
            "cov(): expected {name} to have {kind} dtype but got {name} with {} dtype",
            w.dtype().scalar_name()
        );
        crate::check!(
            w.numel() == n,
            Runtime,
            "cov(): expected {name} to have the same numel as there are observations in the input but got {} != {n}",
            w.numel()
        );
        let negative =
            autograd::no_grad(|| w.lt(&Tensor::wrapped(0i64)?)?.any()?.item())?.to_bool();
        crate::check!(
            w.numel() == 0 || !negative,
            Runtime,
            "cov(): {name} cannot be negative"
        );
    }
    let x = if x.dtype().is_integral() {
        x.to_dtype(default_dtype())?
    } else {
        x
    };
    let w = match (fweights, aweights) {
        (Some(f), Some(a)) => Some(f.mul(a)?),
        (f, a) => f.or(a).cloned(),
    };
    let correction = correction as f64;
    let (centred, weighted, norm) = match &w {
        None => {
            let c = x.sub(&x.mean_dims(&[1], true)?)?;
            (
                c.clone(),
                c,
                Tensor::wrapped((n as f64 - correction).max(0.0))?,
            )
        }
        Some(w) => {
            let sum = w.sum_all()?;
            let mean = x.mul(w)?.sum_dims(&[1], true)?.div(&sum)?;
            let c = x.sub(&mean)?;
            let norm = match aweights {
                Some(a) if correction != 0.0 => {
                    sum.sub(&w.mul(a)?.sum_all()?.mul_scalar(correction)?.div(&sum)?)?
                }
                _ => sum.sub(&Tensor::wrapped(correction)?)?,
            };
            let floor = norm.le(&Tensor::wrapped(0i64)?)?;
            (
                c.clone(),
                c.mul(w)?,
                floor.where_(&Tensor::wrapped(0i64)?, &norm)?,
            )
        }
    };
    let out = weighted.matmul(&centred.t()?.conj()?)?.div(&norm)?;
    out.squeeze_dims(&(0..out.ndim()).collect::<Vec<_>>())
}

fn corrcoef(x: &Tensor) -> Result<Tensor> {
    crate::check!(
        x.ndim() <= 2,
        Runtime,
        "corrcoef(): expected input to have two or fewer dimensions but got an input with {} dimensions",
        x.ndim()
    );
    let c = cov(x, 1, None, None)?;
    if c.ndim() == 0 {
        return c.div(&c);
    }
    let d = c.diagonal(0, 0, 1)?;
    let sd = if d.dtype().is_complex() {
        d.real()?.sqrt()?
    } else {
        d.sqrt()?
    };
    let r = c.div(&sd.unsqueeze(-1)?)?.div(&sd.unsqueeze(0)?)?;
    let bound = |t: &Tensor| -> Result<Tensor> {
        t.maximum(&Tensor::scalar(-1.0, t.dtype())?)?
            .minimum(&Tensor::scalar(1.0, t.dtype())?)
    };
    if r.dtype().is_complex() {
        let parts = crate::ops::join::stack(&[bound(&r.real()?)?, bound(&r.imag()?)?], -1)?;
        return parts.view_as_complex();
    }
    bound(&r)
}

op! {
    /// Estimates the covariance matrix of variables (rows) from observations (columns), weighted if asked for.
    cov, in [TORCH, METHOD] {
        "(Tensor input, *, int correction=1, Tensor? fweights=None, Tensor? aweights=None) -> Tensor" =>
            |a| cov(&a.tensor(0), a.int(1), a.opt_tensor(2), a.opt_tensor(3)),
    }
}
op! {
    /// Estimates the matrix of Pearson's correlation coefficients of variables (rows) from observations (columns).
    corrcoef, in [TORCH, METHOD] {
        "(Tensor input) -> Tensor" => |a| corrcoef(&a.tensor(0)),
    }
}

/// How wide the steps between samples are.
enum Steps {
    Even(Scalar),
    At(Tensor),
}

/// The areas between neighbouring samples along axis `d`.
fn areas(op: &str, y: &Tensor, steps: &Steps, d: usize) -> Result<Tensor> {
    let n = y.sizes()[d] as i64;
    let (left, right) = (
        y.strided_slice(d, 0, n - 1, 1)?,
        y.strided_slice(d, 1, n - 1, 1)?,
    );
    let sum = left.add(&right)?;
    match steps {
        Steps::Even(dx) => sum.mul_scalar(*dx)?.div_scalar(2.0),
        Steps::At(x) => {
            crate::check!(
                x.ndim() > 0,
                Index,
                "{op}: Expected a tensor of at least one dimension for `x`"
            );
            let last = x.ndim() - 1;
            // A 1-d `x` runs along the axis; others line up with `y`.
            let dx = if x.ndim() == 1 {
                crate::check!(
                    x.sizes()[0] as i64 == n,
                    Runtime,
                    "{op}: There must be one `x` value for each sample point"
                );
                let dx = x.strided_slice(last, 1, n - 1, 1)?.sub(&x.strided_slice(
                    last,
                    0,
                    n - 1,
                    1,
                )?)?;
                let mut sizes: Vec<usize> = vec![1; y.ndim()];
                sizes[d] = (n - 1) as usize;
                dx.reshape_to(&sizes)?
            } else {
                let x = if x.ndim() < y.ndim() {
                    let mut sizes = vec![1; y.ndim() - x.ndim()];
                    sizes.extend_from_slice(x.sizes());
                    x.reshape_to(&sizes)?
                } else {
                    x.clone()
                };
                let at = d + x.ndim() - y.ndim();
                let m = x.sizes()[at] as i64;
                crate::check!(
                    m == n || m == 1,
                    Runtime,
                    "{op}: There must be one `x` value for each sample point"
                );
                if m == 1 {
                    return sum.mul_scalar(0.0);
                }
                x.strided_slice(at, 1, m - 1, 1)?
                    .sub(&x.strided_slice(at, 0, m - 1, 1)?)?
            };
            sum.mul(&dx)?.div_scalar(2.0)
        }
    }
}

fn trapezoid(y: &Tensor, steps: Steps, dim: i64) -> Result<Tensor> {
    crate::check!(
        y.ndim() > 0,
        Index,
        "Dimension specified as {dim} but tensor has no dimensions"
    );
    let d = shape::wrap_dim(dim, y.ndim())?;
    if y.sizes()[d] == 0 {
        let dtype = if y.dtype().is_integral() {
            default_dtype()
        } else {
            y.dtype()
        };
        return Tensor::zeros(
            &reduce::reduced_sizes(y.sizes(), &[d], false),
            dtype,
            y.device(),
        );
    }
    let a = areas("trapezoid", y, &steps, d)?;
    let d = d + a.ndim() - y.ndim();
    a.sum_dims(&[d], false)
}

fn cumulative_trapezoid(y: &Tensor, steps: Steps, dim: i64) -> Result<Tensor> {
    crate::check!(
        y.ndim() > 0,
        Index,
        "slice() cannot be applied to a 0-dim tensor."
    );
    let d = shape::wrap_dim(dim, y.ndim())?;
    if y.sizes()[d] == 0 {
        return y.to_dtype(if y.dtype().is_integral() {
            default_dtype()
        } else {
            y.dtype()
        });
    }
    let a = areas("cumulative_trapezoid", y, &steps, d)?;
    let d = d + a.ndim() - y.ndim();
    a.cumsum(d as i64)
}

op! {
    /// Returns the integral of the samples `y` along `dim` by the trapezoidal rule.
    trapezoid, in [TORCH], alias ["trapz"] {
        "(Tensor y, Tensor x, *, int dim=-1) -> Tensor" => |a| trapezoid(&a.tensor(0), Steps::At(a.tensor(1)), a.int(2)),
        "(Tensor y, *, Scalar dx=1, int dim=-1) -> Tensor" => |a| trapezoid(&a.tensor(0), Steps::Even(a.scalar(1)), a.int(2)),
    }
}
op! {
    /// Returns the integrals of the samples `y` along `dim` up to each one by the trapezoidal rule.
    cumulative_trapezoid, in [TORCH] {
        "(Tensor y, Tensor x, *, int dim=-1) -> Tensor" =>
            |a| cumulative_trapezoid(&a.tensor(0), Steps::At(a.tensor(1)), a.int(2)),
        "(Tensor y, *, Scalar dx=1, int dim=-1) -> Tensor" =>
            |a| cumulative_trapezoid(&a.tensor(0), Steps::Even(a.scalar(1)), a.int(2)),
    }
}

/// `quantile` and `nanquantile`: reads between the sorted elements.
fn quantile(
    op: &str,
    x: &Tensor,
    q: &Tensor,
    dim: Option<i64>,
    keepdim: bool,
    how: &str,
    skip_nan: bool,
) -> Result<Tensor> {
    crate::check!(
        x.numel() > 0,
        Runtime,
        "{op}() input tensor must be non-empty"
    );
    crate::check!(
        q.ndim() <= 1,
        Runtime,
        "{op}() q must be a scalar or 1D tensor"
    );
    crate::check!(
        matches!(x.dtype(), DType::F32 | DType::F64),
        Runtime,
        "{op}() input tensor must be either float or double dtype"
    );
    crate::check!(
        x.dtype() == q.dtype(),
        Runtime,
        "{op}() q tensor must be same dtype as the input tensor"
    );
    crate::check!(
        x.device() == q.device(),
        Runtime,
        "{op}() q tensor must be on the same device as the input tensor"
    );
    crate::check!(
        matches!(how, "linear" | "lower" | "higher" | "midpoint" | "nearest"),
        Runtime,
        "{op}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {how}"
    );
    let inside = autograd::no_grad(|| {
        q.ge(&Tensor::wrapped(0i64)?)?
            .logical_and(&q.le(&Tensor::wrapped(1i64)?)?)?
            .all()?
            .item()
    })?;
    crate::check!(
        inside.to_bool(),
        Runtime,
        "{op}() q values must be in the range [0, 1]"
    );
    let d = dim.map(|d| shape::wrap_dim(d, x.ndim())).transpose()?;
    // Sizes of one result, and the elements with the reduced axis last.
    let (kept, moved) = match d {
        None => (
            if keepdim {
                vec![1; x.ndim()]
            } else {
                Vec::new()
            },
            x.reshape(&[-1])?,
        ),
        Some(_) if x.ndim() == 0 => (Vec::new(), x.reshape(&[-1])?),
        Some(d) => {
            let order: Vec<i64> = (0..x.ndim())
                .filter(|&k| k != d)
                .chain([d])
                .map(|k| k as i64)
                .collect();
            (
                reduce::reduced_sizes(x.sizes(), &[d], keepdim).to_vec(),
                x.permute(&order)?,
            )
        }
    };
    let last = moved.ndim() - 1;
    let n = moved.sizes()[last];
    let sorted = moved.sort(-1, false)?.0;
    let points = q.reshape(&[-1])?;
    // Fractional positions in the sorted axis.
    let positions = if skip_nan {
        let count = autograd::no_grad(|| {
            moved
                .isnan()?
                .logical_not()?
                .sum_with(&[last], true, Some(x.dtype()))
        })?;
        let top = count.sub(&Tensor::wrapped(1i64)?)?;
        let none = top.lt(&Tensor::wrapped(0i64)?)?;
        none.where_(&Tensor::wrapped(0i64)?, &points.mul(&top)?)?
    } else {
        let nan = autograd::no_grad(|| sorted.strided_slice(last, n as i64 - 1, 1, 1)?.isnan())?;
        // NaN sorts last: read it.
        nan.where_(
            &Tensor::wrapped((n - 1) as f64)?,
            &points.mul_scalar((n - 1) as f64)?,
        )?
    };
    let positions = match how {
        "lower" => positions.floor()?,
        "higher" => positions.ceil()?,
        "nearest" => positions.round(0i64)?,
        _ => positions,
    };
    let mut sizes = moved.sizes().to_vec();
    sizes[last] = points.numel();
    let positions = positions.expand_to(&sizes)?;
    let below = positions.floor()?;
    let at = |t: &Tensor| autograd::no_grad(|| t.detach().to_dtype(DType::I64)?.contiguous());
    let low = pick("GatherBackward0", &sorted, last, &at(&below)?, false)?;
    let out = if matches!(how, "linear" | "midpoint") {
        let weight = if how == "midpoint" {
            let between = autograd::no_grad(|| positions.ne(&below))?;
            between
                .where_(&Tensor::wrapped(0.5)?, &Tensor::wrapped(0i64)?)?
                .to_dtype(x.dtype())?
        } else {
            positions.sub(&below)?
        };
        let high = pick(
            "GatherBackward0",
            &sorted,
            last,
            &at(&positions.ceil()?)?,
            false,
        )?;
        low.lerp(&high, &weight)?
    } else {
        low
    };
    // The points come first.
    let order: Vec<i64> = [last]
        .into_iter()
        .chain(0..last)
        .map(|k| k as i64)
        .collect();
    let mut sizes = kept;
    if q.ndim() == 1 {
        sizes.insert(0, points.numel());
    }
    out.permute(&order)?.reshape_to(&sizes)
}

/// The points as a tensor like `x`.
fn point(op: &str, q: f64, x: &Tensor) -> Result<Tensor> {
    crate::check!(
        (0.0..=1.0).contains(&q),
        Runtime,
        "{op}() q must be in the range [0, 1] but got {q}"
    );
    let dtype = if x.dtype().is_floating() {
        x.dtype()
    } else {
        default_dtype()
    };
    Tensor::full(&[], q, dtype, x.device())
}

macro_rules! quantile_row {
    ($name:ident, $doc:literal, $skip_nan:literal) => {
        op! {
            #[doc = $doc]
            #[doc = " `interpolation` says what to do between two elements: linear, lower, higher, midpoint or nearest."]
            $name, in [TORCH, METHOD]; out {
                "(Tensor input, Tensor q, int? dim=None, bool keepdim=False, *, str interpolation='linear') -> Tensor" => |a|
                    quantile(stringify!($name), &a.tensor(0), &a.tensor(1), a.opt_int(2), a.bool(3), a.str(4), $skip_nan),
                "(Tensor input, float q, int? dim=None, bool keepdim=False, *, str interpolation='linear') -> Tensor" => |a| {
                    let x = a.tensor(0);
                    let q = point(stringify!($name), a.float(1), &x)?;
                    quantile(stringify!($name), &x, &q, a.opt_int(2), a.bool(3), a.str(4), $skip_nan)
                },
            }
        }
    };
}
quantile_row!(
    quantile,
    " Returns the quantiles `q` of `input`, over `dim` if given; those of rows with NaN are NaN.",
    false
);
quantile_row!(
    nanquantile,
    " Returns the quantiles `q` of the elements of `input` that are not NaN, over `dim` if given.",
    true
);

pub static ROWS: &[&crate::ops::OpDef] = &[
    &std::DEF,
    &var::DEF,
    &std_mean::DEF,
    &var_mean::DEF,
    &cov::DEF,
    &corrcoef::DEF,
    &trapezoid::DEF,
    &cumulative_trapezoid::DEF,
    &quantile::DEF,
    &nanquantile::DEF,
];
