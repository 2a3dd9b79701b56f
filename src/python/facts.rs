//! Facts about a tensor's memory, and the settings of the process.

use super::convert;
use super::error::to_py;
use super::object::{Arg, wrap};
use super::types::PyDevice;
use crate::device::Device;
use crate::dtype::default_dtype;
use crate::shape;
use pyo3::exceptions::*;
use pyo3::prelude::*;
use pyo3::types::PyDict;

#[pyfunction]
fn _data_ptr(tensor: Arg) -> usize {
    // Device memory has no host address; this number tells live tensors apart as an address does.
    #[cfg(feature = "gpu")]
    if let Some(buffer) = tensor.0.storage().gpu() {
        return buffer.address() as usize + tensor.0.offset() * tensor.0.dtype().size();
    }
    if tensor.0.numel() == 0 {
        0
    } else {
        tensor.0.data_ptr() as usize
    }
}

#[pyfunction]
fn _storage_extent(tensor: Arg) -> (usize, usize) {
    (tensor.0.storage().id(), tensor.0.storage().bytes())
}

#[pyfunction]
fn _is_inference(tensor: Arg) -> bool {
    tensor.0.is_inference()
}

#[pyfunction]
fn _retain_grad(py: Python<'_>, tensor: Arg) -> PyResult<()> {
    tensor.0.retain_grad().map_err(|e| to_py(py, e))
}

#[pyfunction]
fn _detach_(py: Python<'_>, tensor: Arg) -> PyResult<()> {
    if tensor.0.view_of().is_some() && tensor.0.grad_fn().is_some() {
        return Err(PyRuntimeError::new_err(
            "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel (DDP) for training, \
             and gradient_as_bucket_view is set as True, gradients are views of DDP buckets, and hence detach_() cannot be \
             called on these gradients.",
        ));
    }
    let _ = py;
    tensor.0.clear_grad_fn();
    Ok(())
}

/// Gives a tensor other sizes in place.
#[pyfunction]
fn _resize_(py: Python<'_>, tensor: Arg, sizes: Vec<i64>) -> PyResult<Py<PyAny>> {
    if tensor.0.requires_grad() {
        return Err(PyRuntimeError::new_err(
            "cannot resize variables that require grad",
        ));
    }
    let sizes = shape::sizes_of("resize_", &sizes).map_err(|e| to_py(py, e))?;
    wrap(py, tensor.0.resized(&sizes).map_err(|e| to_py(py, e))?)
}

/// Gives a tensor another view of the same memory in place: `transpose_`, `squeeze_`, `set_`.
#[pyfunction]
fn _become(py: Python<'_>, tensor: Arg, view: Arg) -> PyResult<Py<PyAny>> {
    if tensor.0.requires_grad() {
        return Err(PyRuntimeError::new_err(
            "in-place changes of shape are not supported on tensors that require grad",
        ));
    }
    wrap(py, tensor.0.replaced(&view.0))
}

#[pyfunction]
fn get_default_dtype(py: Python<'_>) -> PyResult<Py<PyAny>> {
    super::types::dtype_object(py, default_dtype()).map(Py::into_any)
}

#[pyfunction]
fn set_default_dtype(py: Python<'_>, d: &Bound<'_, PyAny>) -> PyResult<()> {
    match convert::dtype(d) {
        Some(d) => crate::dtype::set_default_dtype(d).map_err(|e| to_py(py, e)),
        None => Err(PyTypeError::new_err("invalid dtype object")),
    }
}

#[pyfunction]
#[pyo3(signature = (device=None))]
fn set_default_device(device: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let d = match device {
        None => Device::Cpu,
        Some(d) => convert::device(d)
            .ok_or_else(|| PyTypeError::new_err("set_default_device expects a device"))??,
    };
    crate::ops::create::set_default_device(d);
    Ok(())
}

#[pyfunction]
fn get_default_device() -> PyDevice {
    PyDevice::of(crate::ops::create::default_device())
}

#[pyfunction]
fn get_num_threads() -> usize {
    crate::cpu::parallel::num_threads()
}

#[pyfunction]
fn set_num_threads(n: i64) -> PyResult<()> {
    if n <= 0 {
        return Err(PyRuntimeError::new_err(
            "set_num_threads expects a positive integer",
        ));
    }
    crate::cpu::parallel::set_num_threads(n as usize);
    Ok(())
}

#[pyfunction]
fn _promote_types(
    py: Python<'_>,
    a: &Bound<'_, PyAny>,
    b: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    match (convert::dtype(a), convert::dtype(b)) {
        (Some(a), Some(b)) => {
            let d = crate::dtype::promote_types(a, b).map_err(|e| to_py(py, e))?;
            super::types::dtype_object(py, d).map(Py::into_any)
        }
        _ => Err(PyTypeError::new_err(
            "promote_types(): arguments must be torch.dtype",
        )),
    }
}

#[pyfunction]
fn _can_cast(a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>) -> PyResult<bool> {
    match (convert::dtype(a), convert::dtype(b)) {
        (Some(a), Some(b)) => Ok(a.can_cast(b)),
        _ => Err(PyTypeError::new_err(
            "can_cast(): arguments must be torch.dtype",
        )),
    }
}

/// Bytes held, cached and at their highest, of this thread.
#[pyfunction]
fn memory_stats(py: Python<'_>) -> PyResult<Py<PyAny>> {
    let s = crate::cpu::alloc::stats();
    let d = PyDict::new(py);
    d.set_item("allocated_bytes", s.allocated_bytes)?;
    d.set_item("peak_bytes", s.peak_bytes)?;
    d.set_item("cached_bytes", s.cached_bytes)?;
    d.set_item("allocations", s.allocations)?;
    d.set_item("system_allocations", s.system_allocations)?;
    Ok(d.into_any().unbind())
}

#[pyfunction]
fn _empty_cache() {
    crate::cpu::alloc::empty_cache();
}

#[pyfunction]
fn _cpu_capability() -> String {
    format!("{:?}", crate::cpu::isa::isa())
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    for f in [
        wrap_pyfunction!(_data_ptr, m)?,
        wrap_pyfunction!(_storage_extent, m)?,
        wrap_pyfunction!(_is_inference, m)?,
        wrap_pyfunction!(_retain_grad, m)?,
        wrap_pyfunction!(_detach_, m)?,
        wrap_pyfunction!(_resize_, m)?,
        wrap_pyfunction!(_become, m)?,
        wrap_pyfunction!(get_default_dtype, m)?,
        wrap_pyfunction!(set_default_dtype, m)?,
        wrap_pyfunction!(set_default_device, m)?,
        wrap_pyfunction!(get_default_device, m)?,
        wrap_pyfunction!(get_num_threads, m)?,
        wrap_pyfunction!(set_num_threads, m)?,
        wrap_pyfunction!(_promote_types, m)?,
        wrap_pyfunction!(_can_cast, m)?,
        wrap_pyfunction!(memory_stats, m)?,
        wrap_pyfunction!(_empty_cache, m)?,
        wrap_pyfunction!(_cpu_capability, m)?,
    ] {
        m.add_function(f)?;
    }
    Ok(())
}
