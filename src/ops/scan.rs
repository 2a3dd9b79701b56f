//! Running sums, products and extremes along an axis.

use super::minmax::{by_dim, pick};
use crate::autograd::{self, Saved, engine::grads, record, record_stateless};
use crate::cpu::scan::{log_add_exp, scan};
use crate::dispatch_of;
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::args::Value;
use crate::shape;
use crate::tensor::Tensor;
use num_complex::Complex;

/// Runs a step along `dim` of a detached tensor, in the dtype sums are kept in.
macro_rules! run {
    ($op:literal, $x:expr, $dim:expr, [$($D:ident: $T:ty, $A:ty, $start:expr, $step:expr, $finish:expr;)+]) => {{
        let x: &Tensor = $x;
        x.need_cpu($op)?;
        let cast = if x.dtype().is_integral() { DType::I64 } else { x.dtype().compute() };
        let source = autograd::no_grad(|| x.detach().to_dtype(cast)?.contiguous())?;
        let out = Tensor::empty(x.sizes(), cast, x.device())?;
        let (_, n, inner) = by_dim(x, $dim);
        match cast {
            // SAFETY: `out` has the sizes and dtype of `source`.
            $(DType::$D => unsafe {
                scan::<$T, $A, $T>(source.as_slice::<$T>()?, n, inner, out.data_ptr() as *mut $T, $start, $step, $finish)
            },)+
            d => crate::bail!(NotImplemented, "\"{}_out_cpu\" not implemented for '{}'", $op, d.scalar_name()),
        }
        autograd::no_grad(|| out.to_dtype(x.dtype()))
    }};
}

impl Tensor {
    /// The axis walked backwards: a view.
    pub fn reversed(&self, dim: usize) -> Result<Tensor> {
        if self.ndim() == 0 {
            return Ok(self.clone());
        }
        let n = self.sizes()[dim] as i64;
        self.strided_slice(dim, (n - 1).max(0), n, -1)
    }

    /// The sums of the elements up to each one.
    pub fn cumsum(&self, dim: i64) -> Result<Tensor> {
        let d = shape::wrap_dim(dim, self.ndim())?;
        // Single floats add up in double, so that long sums keep their last digits.
        let out = run!("cumsum", self, d, [
            F32: f32, f64, 0.0, |s, x, _| s + x as f64, |s| s as f32;
            F64: f64, f64, 0.0, |s, x, _| s + x, |s| s;
            I64: i64, i64, 0, |s, x, _| s.wrapping_add(x), |s| s;
            C64: Complex<f32>, Complex<f64>, Complex::new(0.0, 0.0), |s, x, _| s + Complex::new(x.re as f64, x.im as f64),
                |s| Complex::new(s.re as f32, s.im as f32);
            C128: Complex<f64>, Complex<f64>, Complex::new(0.0, 0.0), |s, x, _| s + x, |s| s;
        ])?;
        if autograd::needs_grad(&[self]) {
            record_stateless("CumsumBackward0", &[self], &[&out], move |g| {
                grads([Some(g.get(0)?.reversed(d)?.cumsum(d as i64)?.reversed(d)?)])
            });
        }
        Ok(out)
    }

    /// The products of the elements up to each one.
    pub fn cumprod(&self, dim: i64) -> Result<Tensor> {
        let d = shape::wrap_dim(dim, self.ndim())?;
        let out = run!("cumprod", self, d, [
            F32: f32, f64, 1.0, |s, x, _| s * x as f64, |s| s as f32;
            F64: f64, f64, 1.0, |s, x, _| s * x, |s| s;
            I64: i64, i64, 1, |s, x, _| s.wrapping_mul(x), |s| s;
            C64: Complex<f32>, Complex<f64>, Complex::new(1.0, 0.0), |s, x, _| s * Complex::new(x.re as f64, x.im as f64),
                |s| Complex::new(s.re as f32, s.im as f32);
            C128: Complex<f64>, Complex<f64>, Complex::new(1.0, 0.0), |s, x, _| s * x, |s| s;
        ])?;
        if autograd::needs_grad(&[self]) {
            let (xs, ys) = (Saved::input(self), Saved::output(&out, 0));
            record("CumprodBackward0", &[self], &[&out], move |g| {
                grads([Some(cumprod_backward(
                    &g.get(0)?,
                    &xs.get(g)?,
                    &ys.get(g)?,
                    d,
                )?)])
            });
        }
        Ok(out)
    }

    /// `log(cumsum(exp(self)))` without overflow.
    pub fn logcumsumexp(&self, dim: i64) -> Result<Tensor> {
        let d = shape::wrap_dim(dim, self.ndim())?;
        let out = run!("logcumsumexp", self, d, [
            F32: f32, f64, f64::NEG_INFINITY, |s, x, _| log_add_exp(s, x as f64), |s| s as f32;
            F64: f64, f64, f64::NEG_INFINITY, |s, x, _| log_add_exp(s, x), |s| s;
            C64: Complex<f32>, Complex<f64>, Complex::new(f64::NEG_INFINITY, 0.0),
                |s, x, _| complex_log_add_exp(s, Complex::new(x.re as f64, x.im as f64)), |s| Complex::new(s.re as f32, s.im as f32);
            C128: Complex<f64>, Complex<f64>, Complex::new(f64::NEG_INFINITY, 0.0), |s, x, _| complex_log_add_exp(s, x), |s| s;
        ])?;
        if autograd::needs_grad(&[self]) {
            let (xs, ys) = (Saved::input(self), Saved::output(&out, 0));
            record("LogcumsumexpBackward0", &[self], &[&out], move |g| {
                grads([Some(logcumsumexp_backward(
                    &g.get(0)?,
                    &xs.get(g)?,
                    &ys.get(g)?,
                    d,
                )?)])
            });
        }
        Ok(out)
    }
}

fn complex_log_add_exp(a: Complex<f64>, b: Complex<f64>) -> Complex<f64> {
    let (low, high) = if a.re < b.re { (a, b) } else { (b, a) };
    if low.re == f64::NEG_INFINITY {
        high
    } else {
        high + (Complex::new(1.0, 0.0) + (low - high).exp()).ln()
    }
}

fn cumprod_backward(g: &Tensor, x: &Tensor, y: &Tensor, d: usize) -> Result<Tensor> {
    if x.ndim() == 0 || x.numel() == 0 {
        return Ok(g.clone());
    }
    let zero = Tensor::wrapped(0i64)?;
    let (xc, yc) = (x.conj()?, y.conj()?);
    let has_zero = autograd::no_grad(|| x.eq(&zero)?.any()?.item())?.to_bool();
    if !has_zero {
        return g
            .mul(&yc)?
            .reversed(d)?
            .cumsum(d as i64)?
            .reversed(d)?
            .div(&xc);
    }
    // Element k takes part in all products from the k-th on: each is that of the elements before it times that of those
    // after it.
    let n = x.sizes()[d] as i64;
    let mut out: Option<Tensor> = None;
    for k in 0..n {
        let before = xc.strided_slice(d, 0, k, 1)?.prod_dims(&[d], true, None)?;
        let mut slope = g.strided_slice(d, k, 1, 1)?;
        if k + 1 < n {
            let after = xc
                .strided_slice(d, k + 1, n - k - 1, 1)?
                .cumprod(d as i64)?;
            slope = slope.add(
                &g.strided_slice(d, k + 1, n - k - 1, 1)?
                    .mul(&after)?
                    .sum_dims(&[d], true)?,
            )?;
        }
        let part = crate::ops::view::slice_backward(&slope.mul(&before)?, x.sizes(), d, k, 1)?;
        out = Some(match out {
            None => part,
            Some(o) => o.add(&part)?,
        });
    }
    out.map_or_else(|| Ok(g.clone()), Ok)
}

fn logcumsumexp_backward(g: &Tensor, x: &Tensor, y: &Tensor, d: usize) -> Result<Tensor> {
    if x.ndim() == 0 || x.numel() == 0 {
        return Ok(g.clone());
    }
    let back = |t: &Tensor| -> Result<Tensor> {
        t.reversed(d)?
            .logcumsumexp(d as i64)?
            .reversed(d)?
            .add(x)?
            .exp()
    };
    if x.dtype().is_complex() {
        let (xc, yc) = (x.conj()?, y.conj()?);
        return g
            .log()?
            .sub(&yc)?
            .reversed(d)?
            .logcumsumexp(d as i64)?
            .reversed(d)?
            .add(&xc)?
            .exp();
    }
    let (zero, floor) = (Tensor::wrapped(0i64)?, Tensor::wrapped(f64::NEG_INFINITY)?);
    let one = Tensor::wrapped(1i64)?;
    // The logarithm is taken of positive numbers only, so that its own gradient stays finite.
    let part = |t: &Tensor| -> Result<Tensor> {
        let mask = t.gt(&zero)?;
        back(&mask.where_(&mask.where_(t, &one)?.log()?.sub(y)?, &floor)?)
    };
    part(g)?.sub(&part(&g.neg()?)?)
}

/// The input of a running op as it is summed: integers in int64.
fn widened(x: &Tensor, dtype: Option<DType>) -> Result<Tensor> {
    x.to_dtype(dtype.unwrap_or(if x.dtype().is_integral() {
        DType::I64
    } else {
        x.dtype()
    }))
}

/// Running extremes with their positions; later ones win among equals, NaN among all.
fn running_extreme(min: bool, x: &Tensor, dim: i64) -> Result<Value> {
    let (name, node) = if min {
        ("cummin", "CumminBackward0")
    } else {
        ("cummax", "CummaxBackward0")
    };
    let d = shape::wrap_dim(dim, x.ndim())?;
    x.need_cpu(name)?;
    let (_, n, inner) = by_dim(x, d);
    let at = Tensor::empty(x.sizes(), DType::I64, x.device())?;
    let source = autograd::no_grad(|| x.detach().contiguous())?;
    dispatch_of!(format!("{name}_cpu"), x.dtype(), ordered, T => {
        use crate::cpu::sort::Key;
        let step = |(best, i): (u64, i64), v: T, j: usize| {
            let key = v.key();
            let nan = |k: u64| Some(k) == <T as Key>::NAN;
            let wins = i < 0 || nan(key) || (!nan(best) && if min { key <= best } else { key >= best });
            if wins { (key, j as i64) } else { (best, i) }
        };
        // SAFETY: `at` has the sizes of `source`.
        unsafe {
            scan::<T, (u64, i64), i64>(source.as_slice::<T>()?, n, inner, at.data_ptr() as *mut i64, (0, -1), step, |s| s.1)
        }
    });
    Ok(Value::Named(
        name,
        &["values", "indices"],
        vec![pick(node, x, d, &at, false)?, at],
    ))
}

op! {
    /// Returns the sums of the elements of `input` up to each one along `dim`. Integers sum in int64.
    cumsum, in [TORCH, METHOD]; out, in_place {
        "(Tensor input, int dim, *, ScalarType? dtype=None) -> Tensor" =>
            |a| widened(&a.tensor(0), a.dtype(2))?.cumsum(a.int(1)),
    }
}
op! {
    /// Returns the products of the elements of `input` up to each one along `dim`. Integers multiply in int64.
    cumprod, in [TORCH, METHOD]; out, in_place {
        "(Tensor input, int dim, *, ScalarType? dtype=None) -> Tensor" =>
            |a| widened(&a.tensor(0), a.dtype(2))?.cumprod(a.int(1)),
    }
}
op! {
    /// Returns the logarithm of the running sums of the exponentials of `input` along `dim`, without overflow.
    logcumsumexp, in [TORCH, METHOD]; out {
        "(Tensor input, int dim) -> Tensor" => |a| {
            let t = a.tensor(0);
            crate::check!(
                !t.dtype().is_integral(),
                NotImplemented,
                "\"logcumsumexp_out_cpu\" not implemented for '{}'",
                t.dtype().scalar_name()
            );
            t.logcumsumexp(a.int(1))
        },
    }
}
op! {
    /// Returns the largest elements of `input` up to each one along `dim`, and where they are.
    cummax, in [TORCH, METHOD]; out {
        "(Tensor input, int dim) -> (Tensor values, Tensor indices)" => |a| running_extreme(false, &a.tensor(0), a.int(1)),
    }
}
op! {
    /// Returns the smallest elements of `input` up to each one along `dim`, and where they are.
    cummin, in [TORCH, METHOD]; out {
        "(Tensor input, int dim) -> (Tensor values, Tensor indices)" => |a| running_extreme(true, &a.tensor(0), a.int(1)),
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &cumsum::DEF,
    &cumprod::DEF,
    &logcumsumexp::DEF,
    &cummax::DEF,
    &cummin::DEF,
];
