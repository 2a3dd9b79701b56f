//! Data in and out: nested lists, numpy, the buffer protocol, DLPack.

use crate::dtype::DType;
use crate::python::error::to_py;
use crate::shape::{self, Sizes, Strides};
use crate::storage::Storage;
use crate::tensor::Tensor;
use pyo3::exceptions::*;
use pyo3::prelude::*;

mod buffer;
mod dlpack;
mod lists;
mod numpy;

pub use buffer::{get_buffer, release_buffer};

/// A tensor over foreign memory at byte strides.
fn over(
    py: Python<'_>,
    data: *mut u8,
    sizes: Sizes,
    strides: &[isize],
    dtype: DType,
    read_only: bool,
    keep: Box<dyn std::any::Any>,
) -> PyResult<Tensor> {
    let item = dtype.size() as isize;
    if strides
        .iter()
        .zip(&sizes)
        .any(|(s, &n)| s % item != 0 && n > 1)
    {
        return Err(PyValueError::new_err(
            "given numpy array strides not a multiple of the element byte size. Copy the numpy array to reallocate the memory.",
        ));
    }
    let strides: Strides = strides.iter().map(|s| s / item).collect();
    shape::numel(&sizes).map_err(|e| to_py(py, e))?;
    let (lo, hi) = shape::extent(&sizes, &strides);
    let start = data.wrapping_offset(lo * item);
    // SAFETY: the exporter promises memory for these sizes and strides, which span [lo, hi) elements around `data`; it
    // stays alive with `keep`.
    unsafe {
        let storage = Storage::foreign(start, ((hi - lo) * item) as usize, read_only, keep);
        Ok(Tensor::from_parts(
            storage,
            (-lo) as usize,
            sizes,
            strides,
            dtype,
        ))
    }
}

/// An address for tensors without elements.
static ALIGNED: [u64; 8] = [0; 8];

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    for f in [
        wrap_pyfunction!(lists::tensor, m)?,
        wrap_pyfunction!(lists::as_tensor, m)?,
        wrap_pyfunction!(lists::_tolist, m)?,
        wrap_pyfunction!(numpy::from_numpy, m)?,
        wrap_pyfunction!(numpy::_numpy, m)?,
        wrap_pyfunction!(buffer::frombuffer, m)?,
        wrap_pyfunction!(dlpack::_to_dlpack, m)?,
        wrap_pyfunction!(dlpack::_from_dlpack_capsule, m)?,
        wrap_pyfunction!(buffer::_tensor_bytes, m)?,
    ] {
        m.add_function(f)?;
    }
    Ok(())
}
