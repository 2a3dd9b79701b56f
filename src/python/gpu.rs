//! The device backend's own functions, as the module `rtorch._C._gpu`.

use super::error::to_py;
use super::object::Arg;
use crate::error::Error;
use crate::gpu;
use crate::random::philox::{Philox, STATE_BYTES};
use crate::scalar::Scalar;
use crate::tensor::Tensor;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The device, or the exception that says why there is none.
fn device(py: Python<'_>) -> PyResult<&'static gpu::Gpu> {
    gpu::gpu().map_err(|e| to_py(py, Error::from(e)))
}

#[pyfunction]
fn is_available(py: Python<'_>) -> bool {
    // Opening a driver takes a while, and its threads must not wait for the interpreter.
    py.detach(gpu::is_available)
}

/// Name, driver and abilities of the device.
#[pyfunction]
fn properties(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let caps = &device(py)?.caps;
    let out = PyDict::new(py);
    out.set_item("name", &caps.name)?;
    out.set_item("driver", &caps.driver)?;
    out.set_item("software", caps.software)?;
    out.set_item("float16", caps.f16)?;
    out.set_item("int64", caps.i64)?;
    out.set_item("max_tensor_bytes", caps.max_binding)?;
    Ok(out)
}

#[pyfunction]
fn synchronize(py: Python<'_>) -> PyResult<()> {
    let gpu = device(py)?;
    py.detach(|| gpu.synchronize())
        .map_err(|e| to_py(py, e.into()))
}

#[pyfunction]
fn empty_cache(py: Python<'_>) -> PyResult<()> {
    let gpu = device(py)?;
    py.detach(|| gpu.empty_cache())
        .map_err(|e| to_py(py, e.into()))
}

/// Bytes held by tensors and taken from the driver, now and at most.
#[pyfunction]
fn memory_stats(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let stats = device(py)?.memory_stats();
    let out = PyDict::new(py);
    out.set_item("allocated_bytes.current", stats.allocated)?;
    out.set_item("allocated_bytes.peak", stats.peak_allocated)?;
    out.set_item("reserved_bytes.current", stats.reserved)?;
    out.set_item("reserved_bytes.peak", stats.peak_reserved)?;
    out.set_item("allocation.allocated", stats.allocations)?;
    out.set_item("segment.current", stats.blocks)?;
    Ok(out)
}

#[pyfunction]
fn reset_peak_memory_stats(py: Python<'_>) -> PyResult<()> {
    device(py)?.reset_peak_memory_stats();
    Ok(())
}

#[pyfunction]
fn manual_seed(seed: u64) {
    gpu::manual_seed(seed);
}

#[pyfunction]
fn initial_seed() -> u64 {
    gpu::with_generator(|g| g.initial_seed())
}

/// The device stream's state: seed and offset, 16 bytes.
#[pyfunction]
fn get_rng_state() -> [u8; STATE_BYTES] {
    gpu::with_generator(|g| g.get_state())
}

#[pyfunction]
fn set_rng_state(state: &[u8]) -> PyResult<()> {
    let Ok(bytes) = <&[u8; STATE_BYTES]>::try_from(state) else {
        return Err(PyRuntimeError::new_err("RNG state is wrong size"));
    };
    gpu::with_generator(|g: &mut Philox| g.set_state(bytes));
    Ok(())
}

/// The elementwise rows that have a kernel: name, number of operands, number of parameters, whether the first operand is
/// a mask.
#[pyfunction]
fn rows() -> Vec<(&'static str, usize, usize, bool)> {
    let rows = crate::ops::all()
        .filter_map(|op| op.pointwise)
        .filter(|row| row.wgsl.or(row.wgsl_int).is_some());
    rows.map(|row| (row.name, row.inputs.len(), row.params.len(), row.masked))
        .collect()
}

/// Runs an elementwise row by name where its operands live.
#[pyfunction]
fn run_row(py: Python<'_>, name: &str, ins: Vec<Arg>, params: Vec<f64>) -> PyResult<Arg> {
    let found = crate::ops::all()
        .filter_map(|op| op.pointwise)
        .find(|row| row.name == name);
    let Some(row) =
        found.filter(|row| row.inputs.len() == ins.len() && row.params.len() == params.len())
    else {
        return Err(PyRuntimeError::new_err(format!(
            "there is no elementwise op {name} of this form"
        )));
    };
    let ins: Vec<&Tensor> = ins.iter().map(|a| &a.0).collect();
    let params: Vec<Scalar> = params.into_iter().map(Scalar::Float).collect();
    row.call(&ins, &params).map(Arg).map_err(|e| to_py(py, e))
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let own = PyModule::new(m.py(), "_gpu")?;
    own.add_function(wrap_pyfunction!(is_available, &own)?)?;
    own.add_function(wrap_pyfunction!(properties, &own)?)?;
    own.add_function(wrap_pyfunction!(synchronize, &own)?)?;
    own.add_function(wrap_pyfunction!(empty_cache, &own)?)?;
    own.add_function(wrap_pyfunction!(memory_stats, &own)?)?;
    own.add_function(wrap_pyfunction!(reset_peak_memory_stats, &own)?)?;
    own.add_function(wrap_pyfunction!(manual_seed, &own)?)?;
    own.add_function(wrap_pyfunction!(initial_seed, &own)?)?;
    own.add_function(wrap_pyfunction!(get_rng_state, &own)?)?;
    own.add_function(wrap_pyfunction!(set_rng_state, &own)?)?;
    own.add_function(wrap_pyfunction!(rows, &own)?)?;
    own.add_function(wrap_pyfunction!(run_row, &own)?)?;
    m.add_submodule(&own)
}
