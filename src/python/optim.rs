//! The fused optimizer steps: one call for all parameters of a group.
//!
//! Each returns false, and has touched nothing, where a tensor is not one the kernels take; the tensor code of the
//! optimizer in Python then does the step.

#[cfg(feature = "gpu")]
use super::error::to_py;
use super::object::Arg;
use crate::cpu::optim::{Float, adagrad, adam, rmsprop, sgd};
use crate::device::Device;
use crate::dtype::DType;
use crate::tensor::Tensor;
use pyo3::prelude::*;

/// The element type that all tensors of a step share, if the kernels can take them: dense, contiguous, on the CPU,
/// of the shape of their parameter, and not overlapping one another within a parameter.
fn element_type(columns: &[&[Arg]]) -> Option<DType> {
    let (params, others) = columns.split_first()?;
    let dtype = params.first()?.0.dtype();
    if !matches!(dtype, DType::F32 | DType::F64) {
        return None;
    }
    let fits = |t: &Tensor| t.dtype() == dtype && t.device() == Device::Cpu && t.is_contiguous();
    for (i, p) in params.iter().enumerate() {
        if !fits(&p.0) {
            return None;
        }
        let bytes = p.0.numel() * dtype.size();
        let mut starts: smallvec::SmallVec<[usize; 6]> =
            smallvec::smallvec![p.0.data_ptr() as usize];
        for column in others {
            let t = &column.get(i)?.0;
            if !fits(t) || t.sizes() != p.0.sizes() {
                return None;
            }
            let at = t.data_ptr() as usize;
            if starts.iter().any(|s| s.abs_diff(at) < bytes) {
                return None;
            }
            starts.push(at);
        }
    }
    Some(dtype)
}

/// The elements of a tensor that `element_type` accepted.
///
/// # Safety
/// `T` is its element type, and no other slice of its memory is in use.
#[allow(clippy::mut_from_ref)] // a tensor is a handle: the memory behind it is written through any of them
unsafe fn elements<T>(t: &Tensor) -> &mut [T] {
    let n = t.numel();
    if n == 0 {
        return &mut [];
    }
    // SAFETY: the tensor is contiguous, so its elements lie side by side; the rest is the caller's promise.
    unsafe { std::slice::from_raw_parts_mut(t.data_ptr().cast::<T>(), n) }
}

/// Whether all tensors of a step are what the device's kernels take: contiguous float32 of the shape of their parameter.
#[cfg(feature = "gpu")]
fn on_device(columns: &[&[Arg]]) -> bool {
    let fits = |t: &Tensor, p: &Tensor| {
        !t.device().is_cpu()
            && t.dtype() == DType::F32
            && t.is_contiguous()
            && t.sizes() == p.sizes()
    };
    let Some((params, others)) = columns.split_first() else {
        return false;
    };
    !params.is_empty()
        && params.iter().enumerate().all(|(i, p)| {
            fits(&p.0, &p.0)
                && others
                    .iter()
                    .all(|column| column.get(i).is_some_and(|t| fits(&t.0, &p.0)))
        })
}

fn counts_fit(counts: &[Arg], params: usize) -> bool {
    counts.len() == params
        && counts.iter().all(|c| {
            c.0.numel() == 1
                && c.0.device() == Device::Cpu
                && matches!(c.0.dtype(), DType::F32 | DType::F64)
        })
}

/// Adds 1 to a step count and returns it.
fn count_up(count: &Tensor) -> f64 {
    count.bump();
    match count.dtype() {
        DType::F32 => {
            // SAFETY: `counts_fit` has checked the type, the size and the device.
            let c = unsafe { &mut *count.data_ptr().cast::<f32>() };
            *c += 1.0;
            f64::from(*c)
        }
        _ => {
            // SAFETY: as above.
            let c = unsafe { &mut *count.data_ptr().cast::<f64>() };
            *c += 1.0;
            *c
        }
    }
}

/// Runs a function for the element type found.
macro_rules! by_type {
    ($dtype:expr, $run:ident($($arg:expr),*)) => {
        match $dtype {
            Some(DType::F32) => $run::<f32>($($arg),*),
            Some(_) => $run::<f64>($($arg),*),
            None => return Ok(false),
        }
    };
}

fn bump_all(columns: &[&[Arg]]) {
    for column in columns {
        for t in column.iter() {
            t.0.bump();
        }
    }
}

#[pyfunction]
#[allow(clippy::too_many_arguments)] // Python passes them by position.
fn _fused_sgd(
    py: Python<'_>,
    params: Vec<Arg>,
    grads: Vec<Arg>,
    buffers: Vec<Arg>,
    first: Vec<usize>,
    lr: f64,
    momentum: f64,
    dampening: f64,
    weight_decay: f64,
    nesterov: bool,
    maximize: bool,
) -> PyResult<bool> {
    #[cfg(not(feature = "gpu"))]
    let _ = py;
    let options = sgd::Options {
        lr,
        momentum,
        dampening,
        weight_decay,
        nesterov,
        maximize,
    };
    let mut columns: Vec<&[Arg]> = vec![&params, &grads];
    if !buffers.is_empty() {
        columns.push(&buffers);
    }
    #[cfg(feature = "gpu")]
    if on_device(&columns) {
        for (i, (p, g)) in params.iter().zip(&grads).enumerate() {
            let buffer = buffers.get(i).map(|b| &b.0);
            crate::gpu::sgd(&options, &p.0, &g.0, buffer, first.contains(&i))
                .map_err(|e| to_py(py, e))?;
        }
        bump_all(&[&params, &buffers]);
        return Ok(true);
    }
    fn run<T: Float>(o: &sgd::Options, p: &[Arg], g: &[Arg], b: &[Arg], first: &[usize]) {
        for (i, (p, g)) in p.iter().zip(g).enumerate() {
            // SAFETY: `element_type` has checked the types and that the slices do not overlap.
            unsafe {
                let buffer = b.get(i).map(|b| elements::<T>(&b.0));
                o.step(
                    elements::<T>(&p.0),
                    elements::<T>(&g.0),
                    buffer,
                    first.contains(&i),
                );
            }
        }
    }
    by_type!(
        element_type(&columns),
        run(&options, &params, &grads, &buffers, &first)
    );
    bump_all(&[&params, &buffers]);
    Ok(true)
}

#[pyfunction]
#[allow(clippy::too_many_arguments)] // Python passes them by position.
fn _fused_adam(
    py: Python<'_>,
    params: Vec<Arg>,
    grads: Vec<Arg>,
    exp_avgs: Vec<Arg>,
    exp_avg_sqs: Vec<Arg>,
    largest: Vec<Arg>,
    counts: Vec<Arg>,
    lr: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
    weight_decay: f64,
    decoupled: bool,
    maximize: bool,
) -> PyResult<bool> {
    #[cfg(not(feature = "gpu"))]
    let _ = py;
    let options = adam::Options {
        lr,
        beta1,
        beta2,
        eps,
        weight_decay,
        decoupled,
        maximize,
    };
    let mut columns: Vec<&[Arg]> = vec![&params, &grads, &exp_avgs, &exp_avg_sqs];
    if !largest.is_empty() {
        columns.push(&largest);
    }
    if !counts_fit(&counts, params.len()) {
        return Ok(false);
    }
    #[cfg(feature = "gpu")]
    if on_device(&columns) {
        for (i, count) in counts.iter().enumerate() {
            let tensors: smallvec::SmallVec<[&Tensor; 5]> =
                columns.iter().map(|c| &c[i].0).collect();
            crate::gpu::adam(&options, &tensors, count_up(&count.0)).map_err(|e| to_py(py, e))?;
        }
        bump_all(&[&params, &exp_avgs, &exp_avg_sqs, &largest]);
        return Ok(true);
    }
    fn run<T: Float>(o: &adam::Options, columns: &[&[Arg]], counts: &[Arg]) {
        for (i, count) in counts.iter().enumerate() {
            let count = count_up(&count.0);
            // SAFETY: `element_type` has checked the types and that the slices do not overlap.
            unsafe {
                let at = |k: usize| elements::<T>(&columns[k][i].0);
                let top = columns.get(4).map(|c| elements::<T>(&c[i].0));
                o.step(at(0), at(1), at(2), at(3), top, count);
            }
        }
    }
    by_type!(element_type(&columns), run(&options, &columns, &counts));
    bump_all(&[&params, &exp_avgs, &exp_avg_sqs, &largest]);
    Ok(true)
}

#[pyfunction]
#[allow(clippy::too_many_arguments)] // Python passes them by position.
fn _fused_rmsprop(
    params: Vec<Arg>,
    grads: Vec<Arg>,
    square_avgs: Vec<Arg>,
    grad_avgs: Vec<Arg>,
    buffers: Vec<Arg>,
    counts: Vec<Arg>,
    lr: f64,
    alpha: f64,
    eps: f64,
    weight_decay: f64,
    momentum: f64,
    maximize: bool,
) -> PyResult<bool> {
    let options = rmsprop::Options {
        lr,
        alpha,
        eps,
        weight_decay,
        momentum,
        maximize,
    };
    let mut columns: Vec<&[Arg]> = vec![&params, &grads, &square_avgs];
    for optional in [&grad_avgs, &buffers] {
        if !optional.is_empty() {
            columns.push(optional);
        }
    }
    if !counts_fit(&counts, params.len()) {
        return Ok(false);
    }
    fn run<T: Float>(
        o: &rmsprop::Options,
        columns: &[&[Arg]],
        means: &[Arg],
        rolls: &[Arg],
        counts: &[Arg],
    ) {
        for (i, count) in counts.iter().enumerate() {
            count_up(&count.0);
            // SAFETY: `element_type` has checked the types and that the slices do not overlap.
            unsafe {
                let at = |k: usize| elements::<T>(&columns[k][i].0);
                let mean = means.get(i).map(|t| elements::<T>(&t.0));
                let roll = rolls.get(i).map(|t| elements::<T>(&t.0));
                o.step(at(0), at(1), at(2), mean, roll);
            }
        }
    }
    by_type!(
        element_type(&columns),
        run(&options, &columns, &grad_avgs, &buffers, &counts)
    );
    bump_all(&[&params, &square_avgs, &grad_avgs, &buffers]);
    Ok(true)
}

#[pyfunction]
#[allow(clippy::too_many_arguments)] // Python passes them by position.
fn _fused_adagrad(
    params: Vec<Arg>,
    grads: Vec<Arg>,
    totals: Vec<Arg>,
    counts: Vec<Arg>,
    lr: f64,
    lr_decay: f64,
    eps: f64,
    weight_decay: f64,
    maximize: bool,
) -> PyResult<bool> {
    let options = adagrad::Options {
        lr,
        lr_decay,
        eps,
        weight_decay,
        maximize,
    };
    let columns: [&[Arg]; 3] = [&params, &grads, &totals];
    if !counts_fit(&counts, params.len()) {
        return Ok(false);
    }
    fn run<T: Float>(o: &adagrad::Options, columns: &[&[Arg]], counts: &[Arg]) {
        for (i, count) in counts.iter().enumerate() {
            let count = count_up(&count.0);
            // SAFETY: `element_type` has checked the types and that the slices do not overlap.
            unsafe {
                let at = |k: usize| elements::<T>(&columns[k][i].0);
                o.step(at(0), at(1), at(2), count);
            }
        }
    }
    by_type!(element_type(&columns), run(&options, &columns, &counts));
    bump_all(&[&params, &totals]);
    Ok(true)
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(_fused_sgd, m)?)?;
    m.add_function(wrap_pyfunction!(_fused_adam, m)?)?;
    m.add_function(wrap_pyfunction!(_fused_rmsprop, m)?)?;
    m.add_function(wrap_pyfunction!(_fused_adagrad, m)?)?;
    Ok(())
}
