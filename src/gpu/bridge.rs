//! Tensors on the device: what the tensor core calls, in its own types and errors.

use std::sync::Mutex;

use smallvec::SmallVec;

use super::api::{self, Class, Elem, Operand, Scalar as Number, not_implemented};
use super::device::{encode, gpu, lock};
use super::elementwise::{self, Map};
use super::index::{self, Move};
use super::matmul as product;
use super::optim;
use super::random::{self as draws, Law};
use super::reduce::{Fold, Reduction, reduce};
use crate::cpu::optim::{adam, sgd};
use crate::device::Device;
use crate::dtype::DType;
use crate::error::{Error, Kind, Result};
use crate::iter::copy_cpu;
use crate::ops::{Pointwise, Yields};
use crate::random::philox::Philox;
use crate::scalar::Scalar;
use crate::shape::{Sizes, Strides, contiguous_strides};
use crate::storage::Storage;
use crate::tensor::Tensor;

impl From<api::Error> for Error {
    fn from(e: api::Error) -> Error {
        let kind = match e {
            api::Error::Unsupported(_) => Kind::NotImplemented,
            api::Error::OutOfMemory(_) => Kind::OutOfMemory,
            api::Error::NoDevice(_) | api::Error::Failed(_) => Kind::Runtime,
        };
        Error::new(kind, e.to_string())
    }
}

/// How the device holds a dtype; the error names `op`.
pub fn elem_of(op: &str, dtype: DType) -> Result<Elem> {
    Ok(match dtype {
        DType::Bool => Elem::Bool,
        DType::U8 => Elem::U8,
        DType::I8 => Elem::I8,
        DType::I16 => Elem::I16,
        DType::I32 => Elem::I32,
        DType::I64 => Elem::I64,
        DType::F16 => Elem::F16,
        DType::BF16 => Elem::BF16,
        DType::F32 => Elem::F32,
        DType::F64 => {
            crate::bail!(
                NotImplemented,
                "{}: shaders have no float64; use float32",
                not_implemented(op, "Double")
            )
        }
        other => crate::bail!(
            NotImplemented,
            "{}",
            not_implemented(op, other.scalar_name())
        ),
    })
}

fn number(class: Class, value: Scalar) -> Number {
    match class {
        Class::F32 => Number::F(value.to_f64()),
        _ => Number::I(value.to_i64()),
    }
}

/// A tensor as a kernel's operand.
fn operand<'a>(op: &str, t: &'a Tensor) -> Result<Operand<'a>> {
    let Some(buffer) = t.storage().gpu() else {
        crate::bail!(
            Runtime,
            "Expected all tensors to be on the same device, but found at least two devices, gpu:0 and {}!",
            t.device()
        )
    };
    Ok(Operand {
        buffer,
        offset: t.offset(),
        elem: elem_of(op, t.dtype())?,
        dims: t.sizes(),
        strides: t.strides(),
    })
}

/// Uninitialised device memory for `numel` elements.
pub fn new_storage(numel: usize, dtype: DType, device: Device) -> Result<Storage> {
    let Device::Gpu(index) = device else {
        return Storage::new(numel * dtype.size());
    };
    let count = super::device_count();
    if index > 0 && count > 0 {
        crate::bail!(
            Runtime,
            "gpu error: invalid device ordinal: gpu:{index}, but {count} gpu is in use"
        );
    }
    let elem = elem_of("empty", dtype)?;
    let buffer = gpu()?.alloc_elems(elem, numel)?;
    Ok(Storage::from_gpu(buffer, numel * dtype.size(), device))
}

/// Runs an elementwise row over `ins`, broadcast to `out`. Numbers and 0-d CPU tensors become parameters.
pub fn pointwise(
    row: &Pointwise,
    ins: &[&Tensor],
    dtype: DType,
    out: &Tensor,
    params: &[Scalar],
) -> Result<()> {
    let compute = elem_of(row.name, dtype)?.class();
    let expr = match compute {
        Class::F32 => row.wgsl,
        _ if dtype == DType::Bool => row.wgsl_bool.or(row.wgsl_int).or(row.wgsl),
        _ => row.wgsl_int.or(row.wgsl),
    };
    let Some(expr) = expr else {
        crate::bail!(
            NotImplemented,
            "{}",
            not_implemented(row.name, dtype.scalar_name())
        )
    };
    let mut names: SmallVec<[&str; 4]> = SmallVec::new();
    let mut scalars: SmallVec<[(&str, Number); 4]> = SmallVec::new();
    // A parameter cannot stand for a mask, so that one is moved.
    let moved = match ins.first() {
        Some(mask) if row.masked && mask.device().is_cpu() => {
            Some(mask.detach().to_device(out.device())?)
        }
        _ => None,
    };
    let mut operands: SmallVec<[Operand<'_>; 4]> = SmallVec::new();
    for (i, (&t, &name)) in ins.iter().zip(row.inputs).enumerate() {
        let t = moved.as_ref().filter(|_| i == 0).unwrap_or(t);
        if t.device().is_cpu() {
            scalars.push((name, number(compute, t.item()?)));
        } else {
            operands.push(operand(row.name, t)?);
            names.push(name);
        }
    }
    for (&name, &value) in row.params.iter().zip(params) {
        scalars.push((name, number(compute, value)));
    }
    let map = Map {
        name: row.name,
        expr,
        names: &names,
        compute,
        condition: row.yields == Yields::Bool,
        masked: row.masked,
        scalars: &scalars,
    };
    Ok(elementwise::elementwise(
        &map,
        &operand(row.name, out)?,
        &operands,
    )?)
}

/// Copies `src`, broadcast and cast, into `dst`, where at least one is on the device.
pub fn copy(dst: &Tensor, src: &Tensor) -> Result<()> {
    if dst.numel() == 0 {
        return Ok(());
    }
    match (dst.device().is_cpu(), src.device().is_cpu()) {
        (false, false) => Ok(elementwise::copy(
            &operand("copy_", dst)?,
            &operand("copy_", src)?,
        )?),
        (false, true) => upload(dst, src),
        _ => download(dst, src),
    }
}

/// A contiguous host tensor of `dtype` with the values of a host tensor.
fn packed(t: &Tensor, dtype: DType) -> Result<Tensor> {
    if t.is_contiguous() && t.dtype() == dtype {
        return Ok(t.clone());
    }
    let out = Tensor::empty(t.sizes(), dtype, Device::Cpu)?;
    copy_cpu(&out, t);
    Ok(out)
}

fn host_bytes(t: &Tensor) -> &[u8] {
    // SAFETY: `packed` tensors are contiguous, on the CPU, and live as long as the borrow; every byte is initialised,
    // or as arbitrary as what `empty` promises.
    unsafe { std::slice::from_raw_parts(t.data_ptr(), t.numel() * t.dtype().size()) }
}

fn upload(dst: &Tensor, src: &Tensor) -> Result<()> {
    let gpu = gpu()?;
    let to = operand("copy_", dst)?;
    let host = packed(src, dst.dtype())?;
    let at = to.offset as u64 * to.elem.device_bytes();
    if dst.is_contiguous()
        && src.sizes() == dst.sizes()
        && at.is_multiple_of(4)
        && to.elem != Elem::F16
    {
        return Ok(gpu.write(to.buffer, at, &encode(to.elem, host_bytes(&host)))?);
    }
    // Odd places take the detour of a dense buffer, which also carries a smaller shape to be broadcast.
    let buffer = gpu.upload(to.elem, host_bytes(&host))?;
    let staged = Operand {
        buffer: &buffer,
        offset: 0,
        elem: to.elem,
        dims: host.sizes(),
        strides: &contiguous_strides(host.sizes()),
    };
    Ok(elementwise::copy(&to, &staged)?)
}

fn download(dst: &Tensor, src: &Tensor) -> Result<()> {
    let dense;
    let src = if src.is_contiguous() {
        src
    } else {
        dense = Tensor::empty(src.sizes(), src.dtype(), src.device())?;
        copy(&dense, src)?;
        &dense
    };
    let from = operand("copy_", src)?;
    let bytes = gpu()?.download(from.elem, from.buffer, from.offset, src.numel())?;
    let host = Tensor::empty(src.sizes(), src.dtype(), Device::Cpu)?;
    // SAFETY: `host` was made for these elements and `download` returns exactly their bytes.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), host.data_ptr(), bytes.len()) };
    copy_cpu(dst, &host);
    Ok(())
}

/// Sets every element.
pub fn fill(dst: &Tensor, value: Scalar) -> Result<()> {
    let to = operand("fill_", dst)?;
    let value = if dst.dtype() == DType::Bool {
        Number::I(i64::from(value.to_bool()))
    } else {
        number(to.elem.class(), value)
    };
    Ok(elementwise::fill(&to, value)?)
}

/// Which axes of `x` are reduced, and the sizes and strides of `out` with those kept as 1.
fn kept_layout(x: &Tensor, dims: &[usize], out: &Tensor) -> (SmallVec<[bool; 5]>, Sizes, Strides) {
    let reduced: SmallVec<[bool; 5]> = (0..x.ndim()).map(|d| dims.contains(&d)).collect();
    let (mut sizes, mut strides) = (Sizes::new(), Strides::new());
    let mut next = 0;
    for (d, &gone) in reduced.iter().enumerate() {
        let kept = out.ndim() == x.ndim();
        if gone {
            sizes.push(1);
            strides.push(0);
            next += usize::from(kept);
        } else {
            sizes.push(x.sizes()[d]);
            strides.push(out.strides().get(next).copied().unwrap_or(0));
            next += 1;
        }
    }
    (reduced, sizes, strides)
}

/// Folds the axes `dims` of `x` into `out`, whose sizes leave them out or keep them as 1.
pub fn fold(op: &str, kind: Fold, x: &Tensor, dims: &[usize], out: &Tensor) -> Result<()> {
    let from = operand(op, x)?;
    let to = operand(op, out)?;
    let (reduced, sizes, strides) = kept_layout(x, dims, out);
    let to = Operand {
        dims: &sizes,
        strides: &strides,
        ..to
    };
    let compute = match kind {
        Fold::Any | Fold::All => Class::U32,
        Fold::Sum | Fold::Prod => match to.elem.class() {
            Class::U32 => Class::I32,
            class => class,
        },
        Fold::Max | Fold::Min => from.elem.class(),
    };
    Ok(reduce(
        &Reduction::new(op, kind, compute),
        &to,
        &from,
        &reduced,
    )?)
}

/// Moves elements between `moved` and `base` at `index` along `dim`; all have as many axes as `moved`.
pub fn by_index(
    op: &str,
    how: Move,
    base: &Tensor,
    dim: usize,
    index: &Tensor,
    moved: &Tensor,
) -> Result<()> {
    let (base, index, moved) = (operand(op, base)?, operand(op, index)?, operand(op, moved)?);
    Ok(index::by_index(op, how, &base, dim, &index, &moved)?)
}

/// Moves elements between `moved`, contiguous, and the places of `x` that index tensors give: `indices` are (axis, int64
/// tensor of `count` contiguous elements), the other axes stand in `before` and `after` them. An index out of range reads
/// zero and writes nothing: a check would have to wait for the device.
pub fn by_indices(
    how: Move,
    x: &Tensor,
    (before, indices, after): (&[usize], &[(usize, Tensor)], &[usize]),
    count: usize,
    moved: &Tensor,
) -> Result<()> {
    let op = "index";
    let at = Tensor::zeros(&[count], DType::I64, x.device())?;
    let mut extent = 1;
    for (d, t) in indices {
        let (n, stride) = (x.sizes()[*d], x.strides()[*d]);
        crate::check!(
            stride >= 0,
            NotImplemented,
            "\"index\" of a flipped tensor is not implemented on gpu"
        );
        extent += n.saturating_sub(1) * stride as usize;
        let t = t.reshape_to(&[count])?;
        let map = Map {
            name: op,
            expr: "select(at + select(i, i + n, i < 0) * stride, -4611686018427387904, i < -n || i >= n || at < 0)",
            names: &["at", "i"],
            compute: Class::I64,
            condition: false,
            masked: false,
            scalars: &[
                ("n", Number::I(n as i64)),
                ("stride", Number::I(stride as i64)),
            ],
        };
        let to = operand(op, &at)?;
        elementwise::elementwise(&map, &to, &[to, operand(op, &t)?])?;
    }
    let (from, places) = (operand(op, x)?, operand(op, &at)?);
    let (mut dims, mut base_strides, mut place_strides, mut moved_dims) =
        (Sizes::new(), Strides::new(), Strides::new(), Sizes::new());
    let mut axis = |dim: usize, stride: isize, place: isize, size: usize| {
        dims.push(dim);
        base_strides.push(stride);
        place_strides.push(place);
        moved_dims.push(size);
    };
    for &d in before {
        axis(x.sizes()[d], x.strides()[d], 0, x.sizes()[d]);
    }
    axis(extent, 1, 1, count);
    for &d in after {
        axis(x.sizes()[d], x.strides()[d], 0, x.sizes()[d]);
    }
    let base = Operand {
        dims: &dims,
        strides: &base_strides,
        ..from
    };
    let places = Operand {
        dims: &moved_dims,
        strides: &place_strides,
        ..places
    };
    let moved_strides = contiguous_strides(&moved_dims);
    let moved = Operand {
        dims: &moved_dims,
        strides: &moved_strides,
        ..operand(op, moved)?
    };
    Ok(index::by_index(
        op,
        how,
        &base,
        before.len(),
        &places,
        &moved,
    )?)
}

/// Writes where the greatest (or least) element along `dims` of `x` lies into `out`, whose sizes leave them out or keep
/// them as 1.
pub fn arg_extreme(
    op: &str,
    greatest: bool,
    x: &Tensor,
    dims: &[usize],
    out: &Tensor,
) -> Result<()> {
    let (from, to) = (operand(op, x)?, operand(op, out)?);
    let (reduced, sizes, strides) = kept_layout(x, dims, out);
    let to = Operand {
        dims: &sizes,
        strides: &strides,
        ..to
    };
    Ok(index::arg_extreme(op, greatest, &to, &from, &reduced)?)
}

/// `out = alpha * a @ b + beta * added`: [.., m, n] from [.., m, k] and [.., k, n].
pub fn matmul(
    op: &str,
    out: &Tensor,
    a: &Tensor,
    b: &Tensor,
    added: Option<&Tensor>,
    alpha: Scalar,
    beta: Scalar,
) -> Result<()> {
    let to = operand(op, out)?;
    let class = to.elem.class();
    let added = added.map(|t| operand(op, t)).transpose()?;
    Ok(product::matmul(
        op,
        &to,
        &operand(op, a)?,
        &operand(op, b)?,
        added.as_ref(),
        number(class, alpha),
        number(class, beta),
    )?)
}

/// One step of SGD over float32 tensors of one shape.
pub fn sgd(
    o: &sgd::Options,
    param: &Tensor,
    grad: &Tensor,
    buffer: Option<&Tensor>,
    first: bool,
) -> Result<()> {
    let buffer = buffer.map(|b| operand("sgd", b)).transpose()?;
    let (param, grad) = (operand("sgd", param)?, operand("sgd", grad)?);
    Ok(optim::sgd(o, &param, &grad, buffer.as_ref(), first)?)
}

/// One step of Adam over parameter, gradient, first and second moment, and with AMSGrad the greatest second moment.
pub fn adam(o: &adam::Options, tensors: &[&Tensor], count: f64) -> Result<()> {
    let operands: SmallVec<[Operand<'_>; 5]> = tensors
        .iter()
        .map(|t| operand("adam", t))
        .collect::<Result<_>>()?;
    let refs: SmallVec<[&Operand<'_>; 5]> = operands.iter().collect();
    Ok(optim::adam(o, &refs, count)?)
}

/// Writes `start + i * step`.
pub fn arange(out: &Tensor, start: Scalar, step: Scalar) -> Result<()> {
    let to = operand("arange", out)?;
    let class = to.elem.class();
    Ok(elementwise::arange(
        &to,
        number(class, start),
        number(class, step),
    )?)
}

/// The stream that device fills draw from when they are given none.
static GENERATOR: Mutex<Option<Philox>> = Mutex::new(None);

/// Runs `f` on the device's own stream.
pub fn with_generator<T>(f: impl FnOnce(&mut Philox) -> T) -> T {
    f(lock(&GENERATOR).get_or_insert_with(|| Philox::new(crate::random::DEFAULT_SEED)))
}

/// Restarts the device's own stream.
pub fn manual_seed(seed: u64) {
    *lock(&GENERATOR) = Some(Philox::new(seed));
}

/// Fills `out` with random numbers from the device's own stream.
pub fn random(op: &str, out: &Tensor, law: Law) -> Result<()> {
    let dense;
    let target = if out.is_contiguous() {
        out
    } else {
        dense = Tensor::empty(out.sizes(), out.dtype(), out.device())?;
        &dense
    };
    with_generator(|g| draws::random(op, &operand(op, target)?, law, g).map_err(Error::from))?;
    if target.same(out) {
        Ok(())
    } else {
        copy(out, target)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::device;
    use super::*;
    use crate::autograd;

    #[test]
    fn tensors_come_and_go() -> Result<()> {
        if device().is_none() {
            return Ok(());
        }
        let host = Tensor::from_slice_shaped(&[1.0f32, -2.0, 3.0, -4.0, 5.0, -6.0], &[2, 3])?;
        let there = host.to_device(Device::Gpu(0))?;
        assert_eq!(there.device().to_string(), "gpu:0");
        let twice = there.t()?.add(&there.t()?)?.mul_scalar(0.5)?;
        assert_eq!(twice.to_vec::<f32>()?, [1.0, -4.0, -2.0, 5.0, 3.0, -6.0]);
        assert_eq!(there.sum_all()?.item()?, Scalar::Float(-3.0));
        assert_eq!(
            there.sum_dims(&[0], false)?.to_vec::<f32>()?,
            [-3.0, 3.0, -3.0]
        );
        let ints = there.to_dtype(DType::I32)?;
        assert_eq!(ints.to_vec::<i32>()?, [1, -2, 3, -4, 5, -6]);
        Ok(())
    }

    #[test]
    fn gradients_flow() -> Result<()> {
        if device().is_none() {
            return Ok(());
        }
        let x = Tensor::from_slice(&[0.5f32, 1.0, 2.0])?.to_device(Device::Gpu(0))?;
        x.set_requires_grad(true)?;
        let y = x.mul(&x)?.exp()?.sum_all()?;
        autograd::engine::backward(&y, None)?;
        let Some(grad) = x.grad() else {
            return Err(crate::err!(Runtime, "no gradient"));
        };
        for (got, v) in grad.to_vec::<f32>()?.iter().zip([0.5f32, 1.0, 2.0]) {
            assert!((got - 2.0 * v * (v * v).exp()).abs() < 1e-4 * (v * v).exp());
        }
        Ok(())
    }

    /// `a @ b` with a gradient, enough of an op for the test below.
    fn mm(a: &Tensor, b: &Tensor) -> Result<Tensor> {
        fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
            let out = Tensor::empty(&[a.sizes()[0], b.sizes()[1]], DType::F32, a.device())?;
            matmul(
                "mm",
                &out,
                a,
                b,
                None,
                Scalar::Float(1.0),
                Scalar::Float(0.0),
            )?;
            Ok(out)
        }
        let out = product(a, b)?;
        if autograd::needs_grad(&[a, b]) {
            let (x, y) = (a.detach(), b.detach());
            autograd::record("MmBackward0", &[a, b], &[&out], move |g| {
                let to_a = g.when(0, || product(&g.get(0)?, &y.t()?))?;
                let to_b = g.when(1, || product(&x.t()?, &g.get(0)?))?;
                autograd::engine::grads([to_a, to_b])
            });
        }
        Ok(out)
    }

    #[test]
    fn a_network_learns() -> Result<()> {
        if device().is_none() {
            return Ok(());
        }
        manual_seed(5);
        let there = Device::Gpu(0);
        let normal = |sizes: &[usize], std: f64| -> Result<Tensor> {
            let t = Tensor::empty(sizes, DType::F32, there)?;
            random("randn", &t, Law::Normal { mean: 0.0, std })?;
            Ok(t)
        };
        let x = normal(&[64, 8], 1.0)?;
        // A target with a curve in it, which a linear model would miss.
        let y = x.mul(&x)?.sum_dims(&[1], true)?.mul_scalar(0.125)?;
        let (w1, b1) = (
            normal(&[8, 32], 0.3)?,
            Tensor::zeros(&[32], DType::F32, there)?,
        );
        let (w2, b2) = (
            normal(&[32, 1], 0.3)?,
            Tensor::zeros(&[1], DType::F32, there)?,
        );
        let params = [w1, b1, w2, b2];
        let mut moments = Vec::new();
        for p in &params {
            p.set_requires_grad(true)?;
            moments.push((p.detach().mul_scalar(0.0)?, p.detach().mul_scalar(0.0)?));
        }
        let options = adam::Options {
            lr: 0.02,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 0.0,
            decoupled: false,
            maximize: false,
        };
        let mut losses = Vec::new();
        for step in 1..=120 {
            let hidden = mm(&x, &params[0])?.add(&params[1])?.tanh()?;
            let error = mm(&hidden, &params[2])?.add(&params[3])?.sub(&y)?;
            let loss = error.mul(&error)?.mean_dims(&[0, 1], false)?;
            autograd::engine::backward(&loss, None)?;
            for (p, (m, v)) in params.iter().zip(&moments) {
                let Some(grad) = p.grad() else {
                    return Err(crate::err!(Runtime, "a parameter has no gradient"));
                };
                adam(&options, &[&p.detach(), &grad, m, v], f64::from(step))?;
                p.set_grad(None);
            }
            losses.push(loss.item()?.to_f64());
        }
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(last < 0.1 * first, "the loss went from {first} to {last}");
        Ok(())
    }

    #[test]
    fn refusals() -> Result<()> {
        if device().is_none() {
            return Ok(());
        }
        let double = Tensor::from_slice(&[1.0f64])?.to_device(Device::Gpu(0));
        assert!(double.is_err_and(|e| {
            e.message
                .starts_with("\"empty\" not implemented for 'Double' on gpu")
        }));
        let here = Tensor::from_slice(&[1.0f32, 2.0])?;
        let there = here.to_device(Device::Gpu(0))?;
        let mixed = there.add(&here);
        assert!(mixed.is_err_and(|e| {
            e.message == "Expected all tensors to be on the same device, but found at least two devices, gpu:0 and cpu!"
        }));
        Ok(())
    }
}
