//! Reductions over axes: sums, products, means, extremes and tests.

use crate::autograd::{self, Saved, engine::grads, record, record_stateless};
use crate::cpu::reduce::{self as kernels, order};
use crate::dtype::{DType, default_dtype};
use crate::error::Result;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use num_complex::Complex;
use smallvec::SmallVec;
use std::marker::PhantomData;

pub type Dims = SmallVec<[usize; 5]>;

/// The axes to reduce: all of them where the list is missing or empty.
pub fn axes(dims: Option<&[i64]>, ndim: usize) -> Result<Dims> {
    match dims {
        Some(d) if !d.is_empty() => {
            let mut d = shape::wrap_dims(d, ndim)?;
            // A 0-d tensor has one virtual axis.
            d.retain(|&mut d| d < ndim);
            Ok(d)
        }
        _ => Ok((0..ndim).collect()),
    }
}

/// Sizes after reducing `dims`.
pub fn reduced_sizes(sizes: &[usize], dims: &[usize], keepdim: bool) -> Sizes {
    (0..sizes.len())
        .filter_map(|d| match (dims.contains(&d), keepdim) {
            (false, _) => Some(sizes[d]),
            (true, true) => Some(1),
            (true, false) => None,
        })
        .collect()
}

/// Gives a reduced tensor its lost axes back with size one.
pub fn restore(g: &Tensor, sizes: &[usize], dims: &[usize], keepdim: bool) -> Result<Tensor> {
    if keepdim {
        return Ok(g.clone());
    }
    let kept: Sizes = (0..sizes.len())
        .map(|d| if dims.contains(&d) { 1 } else { sizes[d] })
        .collect();
    g.reshape_to(&kept)
}

/// Broadcasts a reduced gradient or result back over the axes it lost.
pub fn unreduce(g: &Tensor, sizes: &[usize], dims: &[usize], keepdim: bool) -> Result<Tensor> {
    restore(g, sizes, dims, keepdim)?.expand_to(sizes)
}

/// The input seen as rows to fold: reduced axes last, contiguous.
pub fn as_rows(x: &Tensor, dims: &[usize]) -> Result<(Tensor, usize, usize)> {
    let order: SmallVec<[i64; 6]> = (0..x.ndim())
        .filter(|d| !dims.contains(d))
        .chain((0..x.ndim()).filter(|d| dims.contains(d)))
        .map(|d| d as i64)
        .collect();
    let len: usize = dims.iter().map(|&d| x.sizes()[d]).product();
    let rows: usize = (0..x.ndim())
        .filter(|d| !dims.contains(d))
        .map(|d| x.sizes()[d])
        .product();
    let t = autograd::no_grad(|| x.detach().permute(&order)?.contiguous())?;
    Ok((t, rows, len))
}

/// What a reduction computes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    Sum,
    Mean,
    Prod,
    Max,
    Min,
    Any,
    All,
    ArgMax,
    ArgMin,
    /// With the correction of the divisor.
    Var(f64),
    /// With its order.
    Norm(f64),
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Sum => "sum",
            Kind::Mean => "mean",
            Kind::Prod => "prod",
            Kind::Max => "amax",
            Kind::Min => "amin",
            Kind::Any => "any",
            Kind::All => "all",
            Kind::ArgMax => "argmax",
            Kind::ArgMin => "argmin",
            Kind::Var(_) => "var",
            Kind::Norm(_) => "norm",
        }
    }

    /// The dtype the loop reads for an input of this dtype.
    fn reads(self, dtype: DType) -> DType {
        match (self, dtype) {
            (Kind::Any | Kind::All, _) => DType::Bool,
            (_, d) if d.is_integral() => DType::I64,
            (_, d) => d.compute(),
        }
    }

    fn yields(self, reads: DType) -> DType {
        if matches!(self, Kind::ArgMax | Kind::ArgMin) {
            DType::I64
        } else {
            reads
        }
    }

    fn run(self, x: &Tensor, dims: &[usize], out: &Tensor) -> Result<()> {
        /// Runs a fold for the dtypes it exists for.
        macro_rules! table {
            ($($D:ident: $fold:expr),+ $(,)?) => {
                match x.dtype() {
                    // SAFETY: the fold reads this dtype, `out` was made for what it yields.
                    $(DType::$D => unsafe { kernels::fold($fold, x, dims, out.data_ptr()) },)+
                    d => crate::bail!(NotImplemented, "\"{}_cpu\" not implemented for '{}'", self.name(), d.scalar_name()),
                }
            };
        }
        macro_rules! numbers {
            ($F:ident) => {
                table!(F32: kernels::$F::<f32>::default(), F64: kernels::$F::<f64>::default(), I64: kernels::$F::<i64>::default(),
                       C64: kernels::$F::<Complex<f32>>::default(), C128: kernels::$F::<Complex<f64>>::default())
            };
        }
        macro_rules! reals {
            ($($F:tt)+) => {
                table!(F32: kernels::$($F)+::<f32>::default(), F64: kernels::$($F)+::<f64>::default(), I64: kernels::$($F)+::<i64>::default())
            };
        }
        macro_rules! norm {
            ($order:expr, $p:expr) => {
                table!(F32: kernels::Norm::<f32, { $order }> { p: $p as f32 }, F64: kernels::Norm::<f64, { $order }> { p: $p })
            };
        }
        match self {
            Kind::Sum => numbers!(Sum),
            Kind::Mean => numbers!(Mean),
            Kind::Prod => numbers!(Prod),
            Kind::Max => reals!(Max),
            Kind::Min => reals!(Min),
            Kind::Any => table!(Bool: kernels::Test::<false>),
            Kind::All => table!(Bool: kernels::Test::<true>),
            Kind::ArgMax => {
                table!(F32: kernels::Arg::<f32, false>::default(), F64: kernels::Arg::<f64, false>::default(),
                                   I64: kernels::Arg::<i64, false>::default())
            }
            Kind::ArgMin => {
                table!(F32: kernels::Arg::<f32, true>::default(), F64: kernels::Arg::<f64, true>::default(),
                                   I64: kernels::Arg::<i64, true>::default())
            }
            Kind::Var(correction) => {
                table!(F32: kernels::Variance::<f32> { correction, of: PhantomData },
                                            F64: kernels::Variance::<f64> { correction, of: PhantomData })
            }
            Kind::Norm(0.0) => norm!(order::ZERO, 0.0),
            Kind::Norm(1.0) => norm!(order::ONE, 1.0),
            Kind::Norm(2.0) => norm!(order::TWO, 2.0),
            Kind::Norm(f64::INFINITY) => norm!(order::INF, 0.0),
            Kind::Norm(f64::NEG_INFINITY) => norm!(order::NEG_INF, 0.0),
            Kind::Norm(p) => norm!(order::ANY, p),
        }
        Ok(())
    }
}

/// Reduces `dims` without recording; the result has the dtype of the input (int64 for positions).
pub fn reduce(kind: Kind, x: &Tensor, dims: &[usize], keepdim: bool) -> Result<Tensor> {
    let sizes = reduced_sizes(x.sizes(), dims, keepdim);
    #[cfg(feature = "gpu")]
    if !x.device().is_cpu() {
        return autograd::no_grad(|| on_device(kind, &x.detach(), dims, keepdim));
    }
    x.need_cpu(kind.name())?;
    let reads = kind.reads(x.dtype());
    let yields = kind.yields(reads);
    let cast;
    let source = if x.dtype() == reads {
        x
    } else {
        cast = autograd::no_grad(|| x.to_dtype(reads))?;
        &cast
    };
    let positions = matches!(kind, Kind::ArgMax | Kind::ArgMin);
    // Positions count in row-major order, which a walk by strides would lose.
    let ordered;
    let source = if positions && dims.len() > 1 && !source.is_contiguous() {
        ordered = autograd::no_grad(|| source.contiguous())?;
        &ordered
    } else {
        source
    };
    let out = Tensor::empty(&sizes, yields, x.device())?;
    kind.run(source, dims, &out)?;
    let wanted = if positions { yields } else { x.dtype() };
    if yields == wanted || reads == DType::Bool {
        Ok(out)
    } else {
        autograd::no_grad(|| out.to_dtype(wanted))
    }
}

/// A reduction by the folds a device has.
#[cfg(feature = "gpu")]
fn on_device(kind: Kind, x: &Tensor, dims: &[usize], keepdim: bool) -> Result<Tensor> {
    use crate::gpu::Fold;
    let sizes = reduced_sizes(x.sizes(), dims, keepdim);
    let count: usize = dims.iter().map(|&d| x.sizes()[d]).product();
    let fold = |fold: Fold, x: &Tensor, sizes: &[usize]| -> Result<Tensor> {
        let out = Tensor::empty(sizes, x.dtype(), x.device())?;
        crate::gpu::fold(kind.name(), fold, x, dims, &out)?;
        Ok(out)
    };
    match kind {
        Kind::Sum => fold(Fold::Sum, x, &sizes),
        Kind::Mean => fold(Fold::Sum, x, &sizes)?.div_scalar(count as f64),
        Kind::Prod => fold(Fold::Prod, x, &sizes),
        Kind::Max => fold(Fold::Max, x, &sizes),
        Kind::Min => fold(Fold::Min, x, &sizes),
        Kind::Any => fold(Fold::Any, &x.to_dtype(DType::Bool)?, &sizes),
        Kind::All => fold(Fold::All, &x.to_dtype(DType::Bool)?, &sizes),
        Kind::ArgMax | Kind::ArgMin => {
            let out = Tensor::empty(&sizes, DType::I64, x.device())?;
            crate::gpu::arg_extreme(kind.name(), kind == Kind::ArgMax, x, dims, &out)?;
            Ok(out)
        }
        Kind::Var(correction) => {
            let mean = on_device(Kind::Mean, x, dims, true)?;
            let off = x.sub(&mean)?;
            fold(Fold::Sum, &off.mul(&off)?, &sizes)?
                .div_scalar((count as f64 - correction).max(0.0))
        }
        Kind::Norm(0.0) => fold(
            Fold::Sum,
            &x.to_dtype(DType::Bool)?.to_dtype(x.dtype())?,
            &sizes,
        ),
        Kind::Norm(1.0) => fold(Fold::Sum, &x.abs()?, &sizes),
        Kind::Norm(2.0) => fold(Fold::Sum, &x.mul(x)?, &sizes)?.sqrt(),
        Kind::Norm(p) if p == f64::INFINITY => fold(Fold::Max, &x.abs()?, &sizes),
        Kind::Norm(p) if p == f64::NEG_INFINITY => fold(Fold::Min, &x.abs()?, &sizes),
        Kind::Norm(p) => fold(Fold::Sum, &x.abs()?.pow(&Tensor::wrapped(p)?)?, &sizes)?
            .pow(&Tensor::wrapped(1.0 / p)?),
    }
}

/// Sizes and axes a backward needs.
pub struct Shape {
    pub sizes: Sizes,
    pub dims: Dims,
    pub keepdim: bool,
}

impl Shape {
    pub fn of(x: &Tensor, dims: &[usize], keepdim: bool) -> Shape {
        Shape {
            sizes: SmallVec::from_slice(x.sizes()),
            dims: SmallVec::from_slice(dims),
            keepdim,
        }
    }
    /// The number of elements that became one.
    pub fn count(&self) -> usize {
        self.dims.iter().map(|&d| self.sizes[d]).product()
    }
    pub fn restore(&self, t: &Tensor) -> Result<Tensor> {
        restore(t, &self.sizes, &self.dims, self.keepdim)
    }
    pub fn expand(&self, t: &Tensor) -> Result<Tensor> {
        unreduce(t, &self.sizes, &self.dims, self.keepdim)
    }
    fn whole(&self) -> bool {
        self.dims.len() == self.sizes.len() && !self.keepdim
    }
}

/// Refuses to look for an extreme among no elements.
pub fn check_nonempty(op: &str, x: &Tensor, dims: &[usize], given: bool) -> Result<()> {
    if x.numel() > 0 {
        return Ok(());
    }
    if !given {
        crate::bail!(
            Runtime,
            "{op}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the \
             'dim' argument."
        );
    }
    for &d in dims {
        crate::check!(
            x.sizes()[d] != 0,
            Index,
            "{op}(): Expected reduction dim {d} to have non-zero size."
        );
    }
    Ok(())
}

impl Tensor {
    /// Sums over axes into `dtype` (default: int64 for integers, else the input's).
    pub fn sum_with(&self, dims: &[usize], keepdim: bool, dtype: Option<DType>) -> Result<Tensor> {
        let dtype = dtype.unwrap_or(if self.dtype().is_integral() {
            DType::I64
        } else {
            self.dtype()
        });
        let cast;
        let x = if self.dtype() == dtype {
            self
        } else {
            cast = self.to_dtype(dtype)?;
            &cast
        };
        let out = reduce(Kind::Sum, x, dims, keepdim)?;
        if autograd::needs_grad(&[x]) {
            let s = Shape::of(x, dims, keepdim);
            let name = if s.whole() {
                "SumBackward0"
            } else {
                "SumBackward1"
            };
            record_stateless(name, &[x], &[&out], move |g| {
                grads([Some(s.expand(&g.get(0)?)?)])
            });
        }
        Ok(out)
    }

    pub fn sum_dims(&self, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        self.sum_with(dims, keepdim, Some(self.dtype()))
    }

    /// The sum of all elements.
    pub fn sum_all(&self) -> Result<Tensor> {
        self.sum_with(&(0..self.ndim()).collect::<Dims>(), false, None)
    }

    /// Sums broadcast axes until the sizes are `sizes`.
    pub fn sum_to(&self, sizes: &[usize]) -> Result<Tensor> {
        if self.sizes() == sizes {
            return Ok(self.clone());
        }
        let lead = self.ndim().saturating_sub(sizes.len());
        let dims: Dims = (0..self.ndim())
            .filter(|&d| d < lead || (sizes[d - lead] == 1 && self.sizes()[d] != 1))
            .collect();
        let summed = if dims.is_empty() {
            self.clone()
        } else {
            self.sum_dims(&dims, true)?
        };
        if lead > 0 {
            summed.reshape_to(sizes)
        } else {
            Ok(summed)
        }
    }

    /// Whether any element is true.
    pub fn any(&self) -> Result<Tensor> {
        reduce(Kind::Any, self, &(0..self.ndim()).collect::<Dims>(), false)
    }

    /// Whether every element is true.
    pub fn all(&self) -> Result<Tensor> {
        reduce(Kind::All, self, &(0..self.ndim()).collect::<Dims>(), false)
    }

    /// The mean over axes of a floating tensor.
    pub fn mean_dims(&self, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        let out = reduce(Kind::Mean, self, dims, keepdim)?;
        if autograd::needs_grad(&[self]) {
            let s = Shape::of(self, dims, keepdim);
            let name = if s.whole() {
                "MeanBackward0"
            } else {
                "MeanBackward1"
            };
            record_stateless(name, &[self], &[&out], move |g| {
                grads([Some(s.expand(&g.get(0)?)?.div_scalar(s.count() as f64)?)])
            });
        }
        Ok(out)
    }

    /// The largest (or with `min` the smallest) elements; the gradient is shared among equals.
    pub fn extreme(
        &self,
        min: bool,
        dims: &[usize],
        keepdim: bool,
        name: &'static str,
    ) -> Result<Tensor> {
        let out = reduce(if min { Kind::Min } else { Kind::Max }, self, dims, keepdim)?;
        if autograd::needs_grad(&[self]) {
            let s = Shape::of(self, dims, keepdim);
            let (x, y) = (Saved::input(self), Saved::output(&out, 0));
            record(name, &[self], &[&out], move |g| {
                let (x, y, grad) = (
                    x.get(g)?.detach(),
                    s.restore(&y.get(g)?.detach())?,
                    s.restore(&g.get(0)?)?,
                );
                let mask = autograd::no_grad(|| {
                    let mask = x.eq(&y)?;
                    if y.isnan()?.any()?.item()?.to_bool() {
                        mask.logical_or(&x.isnan()?)
                    } else {
                        Ok(mask)
                    }
                })?;
                let share = mask.sum_dims_as(&s.dims, grad.dtype())?;
                let zero = Tensor::wrapped(0i64)?;
                grads([Some(
                    mask.where_(&grad.div(&share)?.expand_to(&s.sizes)?, &zero)?,
                )])
            });
        }
        Ok(out)
    }

    pub fn amax(&self, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        self.extreme(false, dims, keepdim, "AmaxBackward0")
    }

    /// How many are true along `dims`, which stay with size one.
    fn sum_dims_as(&self, dims: &[usize], dtype: DType) -> Result<Tensor> {
        autograd::no_grad(|| self.sum_with(dims, true, Some(dtype)))
    }

    /// The product over axes.
    pub fn prod_dims(&self, dims: &[usize], keepdim: bool, dtype: Option<DType>) -> Result<Tensor> {
        let dtype = dtype.unwrap_or(if self.dtype().is_integral() {
            DType::I64
        } else {
            self.dtype()
        });
        let x = &self.to_dtype(dtype)?;
        let out = reduce(Kind::Prod, x, dims, keepdim)?;
        if autograd::needs_grad(&[x]) {
            let s = Shape::of(x, dims, keepdim);
            let name = if s.whole() {
                "ProdBackward0"
            } else {
                "ProdBackward1"
            };
            let (xs, ys) = (Saved::input(x), Saved::output(&out, 0));
            record(name, &[x], &[&out], move |g| {
                let x = xs.get(g)?;
                let grad = s.restore(&g.get(0)?)?;
                let zero = Tensor::wrapped(0i64)?;
                let has_zero = autograd::no_grad(|| x.eq(&zero)?.any()?.item())?.to_bool();
                let slope = if has_zero {
                    products_of_others(&x, &s.dims)?
                } else {
                    s.restore(&ys.get(g)?)?.div(&x)?
                };
                grads([Some(grad.mul(&slope.conj()?)?)])
            });
        }
        Ok(out)
    }

    /// `log(sum(exp(self)))` over axes, without overflow.
    pub fn logsumexp(&self, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        let x = &if self.dtype().is_integral() {
            self.to_dtype(default_dtype())?
        } else {
            self.clone()
        };
        let out = autograd::no_grad(|| -> Result<Tensor> {
            if x.numel() == 0 {
                return x.exp()?.sum_dims(dims, keepdim)?.log();
            }
            let zero = Tensor::wrapped(0i64)?;
            let top = reduce(Kind::Max, &x.detach().real()?, dims, true)?;
            let infinite = top
                .eq(&Tensor::wrapped(f64::INFINITY)?)?
                .logical_or(&top.eq(&Tensor::wrapped(f64::NEG_INFINITY)?)?)?;
            let top = infinite.where_(&zero, &top)?;
            let sum = x.sub(&top)?.exp()?.sum_dims(dims, true)?.log()?.add(&top)?;
            sum.reshape_to(&reduced_sizes(x.sizes(), dims, keepdim))
        })?;
        if autograd::needs_grad(&[x]) {
            let s = Shape::of(x, dims, keepdim);
            let (xs, ys) = (Saved::input(x), Saved::output(&out, 0));
            record("LogsumexpBackward0", &[x], &[&out], move |g| {
                let y = s.restore(&ys.get(g)?)?;
                let grad = s.restore(&g.get(0)?)?;
                grads([Some(grad.mul(&xs.get(g)?.sub(&y)?.exp()?.conj()?)?)])
            });
        }
        Ok(out)
    }

    /// Where the elements are not NaN; all of them for integers.
    fn not_nan(&self) -> Result<Tensor> {
        autograd::no_grad(|| self.isnan()?.logical_not())
    }

    pub fn nansum(&self, dims: &[usize], keepdim: bool, dtype: Option<DType>) -> Result<Tensor> {
        crate::check!(
            !self.dtype().is_complex(),
            Runtime,
            "nansum on CPU does not support complex inputs"
        );
        if !self.dtype().is_floating() {
            return self.sum_with(dims, keepdim, dtype);
        }
        let x = self.to_dtype(dtype.unwrap_or(self.dtype()))?;
        let kept = x.not_nan()?;
        let out = autograd::no_grad(|| {
            kept.where_(&x.detach(), &Tensor::wrapped(0i64)?)?
                .sum_dims(dims, keepdim)
        })?;
        if autograd::needs_grad(&[&x]) {
            let s = Shape::of(&x, dims, keepdim);
            record("NansumBackward0", &[&x], &[&out], move |g| {
                grads([Some(
                    kept.where_(&s.expand(&g.get(0)?)?, &Tensor::wrapped(0i64)?)?,
                )])
            });
        }
        Ok(out)
    }
}

/// For every element the product of the others along `dims`: products from the left times products from the right.
fn products_of_others(x: &Tensor, dims: &[usize]) -> Result<Tensor> {
    let order: SmallVec<[i64; 6]> = (0..x.ndim())
        .filter(|d| !dims.contains(d))
        .chain(dims.iter().copied())
        .map(|d| d as i64)
        .collect();
    let moved = x.permute(&order)?;
    let rows: usize = (0..x.ndim())
        .filter(|d| !dims.contains(d))
        .map(|d| x.sizes()[d])
        .product();
    let n: usize = dims.iter().map(|&d| x.sizes()[d]).product();
    let flat = moved.reshape_to(&[rows, n])?;
    let left = exclusive_products(&flat)?;
    let back = |t: &Tensor| t.strided_slice(1, n as i64 - 1, n as i64, -1);
    let right = back(&exclusive_products(&back(&flat)?)?)?;
    let mut inverse: SmallVec<[i64; 6]> = SmallVec::from_elem(0, order.len());
    for (i, &d) in order.iter().enumerate() {
        inverse[d as usize] = i as i64;
    }
    left.mul(&right)?
        .reshape_to(moved.sizes())?
        .permute(&inverse)
}

/// For every element of a row the product of those before it.
fn exclusive_products(x: &Tensor) -> Result<Tensor> {
    let n = x.sizes()[1];
    let first = Tensor::full(&[x.sizes()[0], 1], 1i64, x.dtype(), x.device())?;
    let first = crate::ops::view::slice_backward(&first, x.sizes(), 1, 0, 1)?;
    if n == 1 {
        return Ok(first);
    }
    let rest = x.strided_slice(1, 0, n as i64 - 1, 1)?.cumprod(1)?;
    first.add(&crate::ops::view::slice_backward(
        &rest,
        x.sizes(),
        1,
        1,
        1,
    )?)
}

/// `any` and `all` over axes: uint8 stays uint8, everything else becomes bool.
fn test(kind: Kind, x: &Tensor, dims: &[usize], keepdim: bool) -> Result<Tensor> {
    let out = reduce(kind, x, dims, keepdim)?;
    if x.dtype() == DType::U8 {
        out.to_dtype(DType::U8)
    } else {
        Ok(out)
    }
}

/// As `axes`, but an empty list means none.
fn listed_axes(dims: Option<&[i64]>, ndim: usize) -> Result<Dims> {
    if dims.is_some_and(|d| d.is_empty()) {
        Ok(Dims::new())
    } else {
        axes(dims, ndim)
    }
}

/// The one axis of an overload with `int dim`.
pub fn one_axis(x: &Tensor, dim: i64) -> Result<Dims> {
    axes(Some(&[dim]), x.ndim())
}

fn mean(x: &Tensor, dims: Option<&[i64]>, keepdim: bool, dtype: Option<DType>) -> Result<Tensor> {
    let to = dtype.unwrap_or(x.dtype());
    crate::check!(
        to.is_floating() || to.is_complex(),
        Runtime,
        "mean(): could not infer output dtype. {} dtype must be either a floating point or complex dtype. Got: {}",
        if dtype.is_some() { "Optional" } else { "Input" },
        to.scalar_name()
    );
    x.to_dtype(to)?.mean_dims(&axes(dims, x.ndim())?, keepdim)
}

fn nanmean(
    x: &Tensor,
    dims: Option<&[i64]>,
    keepdim: bool,
    dtype: Option<DType>,
) -> Result<Tensor> {
    crate::check!(
        x.dtype().is_differentiable(),
        Runtime,
        "nanmean(): expected input to have floating point or complex dtype but got {}",
        x.dtype().scalar_name()
    );
    let dims = axes(dims, x.ndim())?;
    let sum = if x.dtype().is_complex() {
        x.not_nan()?
            .where_(x, &Tensor::wrapped(0i64)?)?
            .sum_with(&dims, keepdim, dtype)?
    } else {
        x.nansum(&dims, keepdim, dtype)?
    };
    sum.div(&x.not_nan()?.sum_with(&dims, keepdim, None)?)
}

fn amax_or_amin(min: bool, x: &Tensor, dims: &[i64], keepdim: bool) -> Result<Tensor> {
    let op = if min { "amin" } else { "amax" };
    let at = axes(Some(dims), x.ndim())?;
    check_nonempty(op, x, &at, !dims.is_empty())?;
    crate::check!(
        !x.dtype().is_complex(),
        NotImplemented,
        "\"{}_values_cpu\" not implemented for '{}'",
        &op[1..],
        x.dtype().scalar_name()
    );
    x.extreme(
        min,
        &at,
        keepdim,
        if min {
            "AminBackward0"
        } else {
            "AmaxBackward0"
        },
    )
}

fn count_nonzero(x: &Tensor, dims: &[usize]) -> Result<Tensor> {
    autograd::no_grad(|| {
        x.detach()
            .ne(&Tensor::wrapped(0i64)?)?
            .sum_with(dims, false, None)
    })
}

op! {
    /// Returns the sum of the elements of `input`, over `dim` if given. Integers sum in int64.
    sum, in [TORCH, METHOD]; out {
        "(Tensor input, *, ScalarType? dtype=None) -> Tensor" => |a| {
            let t = a.tensor(0);
            t.sum_with(&axes(None, t.ndim())?, false, a.dtype(1))
        },
        "(Tensor input, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor" => |a| {
            let t = a.tensor(0);
            let sum = t.sum_with(&axes(a.opt_ints(1), t.ndim())?, a.bool(2), a.dtype(3))?;
            Ok(if sum.same(&t) { sum } else { sum.named("SumBackward1") })
        },
    }
}
op! {
    /// Returns the sum of the elements of `input` that are not NaN, over `dim` if given.
    nansum, in [TORCH, METHOD]; out {
        "(Tensor input, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor" => |a| {
            let t = a.tensor(0);
            t.nansum(&axes(a.opt_ints(1), t.ndim())?, a.bool(2), a.dtype(3))
        },
    }
}
op! {
    /// Returns the mean of the elements of a floating or complex `input`, over `dim` if given.
    mean, in [TORCH, METHOD]; out {
        "(Tensor input, *, ScalarType? dtype=None) -> Tensor" => |a| mean(&a.tensor(0), None, false, a.dtype(1)),
        "(Tensor input, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor" =>
            |a| mean(&a.tensor(0), a.opt_ints(1), a.bool(2), a.dtype(3)),
    }
}
op! {
    /// Returns the mean of the elements of `input` that are not NaN, over `dim` if given.
    nanmean, in [TORCH, METHOD]; out {
        "(Tensor input, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor" =>
            |a| nanmean(&a.tensor(0), a.opt_ints(1), a.bool(2), a.dtype(3)),
    }
}
op! {
    /// Returns the product of the elements of `input`, over `dim` if given. Integers multiply in int64.
    prod, in [TORCH, METHOD]; out {
        "(Tensor input, *, ScalarType? dtype=None) -> Tensor" => |a| {
            let t = a.tensor(0);
            t.prod_dims(&axes(None, t.ndim())?, false, a.dtype(1))
        },
        "(Tensor input, int dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor" => |a| {
            let t = a.tensor(0);
            t.prod_dims(&one_axis(&t, a.int(1))?, a.bool(2), a.dtype(3))
        },
    }
}
op! {
    /// Returns whether any element of `input` is true (nonzero), over `dim` if given.
    any, in [TORCH, METHOD]; out {
        "(Tensor input) -> Tensor" => |a| { let t = a.tensor(0); test(Kind::Any, &t, &axes(None, t.ndim())?, false) },
        "(Tensor input, int[1]? dim, bool keepdim=False) -> Tensor" => |a| {
            let t = a.tensor(0);
            test(Kind::Any, &t, &listed_axes(a.opt_ints(1), t.ndim())?, a.bool(2))
        },
    }
}
op! {
    /// Returns whether every element of `input` is true (nonzero), over `dim` if given.
    all, in [TORCH, METHOD]; out {
        "(Tensor input) -> Tensor" => |a| { let t = a.tensor(0); test(Kind::All, &t, &axes(None, t.ndim())?, false) },
        "(Tensor input, int[1]? dim, bool keepdim=False) -> Tensor" => |a| {
            let t = a.tensor(0);
            test(Kind::All, &t, &listed_axes(a.opt_ints(1), t.ndim())?, a.bool(2))
        },
    }
}
op! {
    /// Returns the largest elements of `input` over `dim`. The gradient is shared evenly among equal elements.
    amax, in [TORCH, METHOD]; out {
        "(Tensor input, int[1] dim=[], bool keepdim=False) -> Tensor" =>
            |a| amax_or_amin(false, &a.tensor(0), a.ints(1), a.bool(2)),
    }
}
op! {
    /// Returns the smallest elements of `input` over `dim`. The gradient is shared evenly among equal elements.
    amin, in [TORCH, METHOD]; out {
        "(Tensor input, int[1] dim=[], bool keepdim=False) -> Tensor" =>
            |a| amax_or_amin(true, &a.tensor(0), a.ints(1), a.bool(2)),
    }
}
op! {
    /// Returns the logarithm of the sum of the exponentials of `input` over `dim`, computed without overflow.
    logsumexp, in [TORCH, METHOD], alias ["special.logsumexp"]; out {
        "(Tensor input, int[1] dim, bool keepdim=False) -> Tensor" => |a| {
            let t = a.tensor(0);
            t.logsumexp(&axes(Some(a.ints(1)), t.ndim())?, a.bool(2))
        },
    }
}
op! {
    /// Returns `input` summed over broadcast axes until it has the given size.
    sum_to_size, in [METHOD] {
        "(Tensor input, int[] size) -> Tensor" => |a| {
            let t = a.tensor(0);
            let size = shape::sizes_of("sum_to_size", a.ints(1))?;
            crate::check!(
                shape::broadcast(&size, t.sizes()).is_ok_and(|s| s.as_slice() == t.sizes()),
                Runtime,
                "size {{{}}} is not expandable to size {{{}}}.",
                shape::list(&size),
                shape::list(t.sizes())
            );
            if size.as_slice() == t.sizes() { t.alias() } else { t.sum_to(&size) }
        },
    }
}
op! {
    /// Counts the elements of `input` that are not zero, over `dim` if given.
    count_nonzero, in [TORCH, METHOD] {
        "(Tensor input, int[1]? dim=None) -> Tensor" => |a| {
            let t = a.tensor(0);
            count_nonzero(&t, &axes(a.opt_ints(1), t.ndim())?)
        },
    }
}

pub static ROWS: &[&crate::ops::OpDef] = &[
    &sum::DEF,
    &nansum::DEF,
    &mean::DEF,
    &nanmean::DEF,
    &prod::DEF,
    &any::DEF,
    &all::DEF,
    &amax::DEF,
    &amin::DEF,
    &logsumexp::DEF,
    &sum_to_size::DEF,
    &count_nonzero::DEF,
];
