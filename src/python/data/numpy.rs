//! Arrays of numpy, by the array interface.

use super::{ALIGNED, over};
use crate::device::Device;
use crate::dtype::DType;
use crate::python::convert;
use crate::python::error::to_py;
use crate::python::gil::Gil;
use crate::python::object::{Arg, wrap};
use crate::shape;
use crate::tensor::Tensor;
use pyo3::exceptions::*;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use smallvec::SmallVec;

/// numpy's type string.
fn typestr(d: DType) -> Option<&'static str> {
    Some(match d {
        DType::Bool => "|b1",
        DType::U8 => "|u1",
        DType::I8 => "|i1",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::U16 => "<u2",
        DType::U32 => "<u4",
        DType::U64 => "<u8",
        DType::F16 => "<f2",
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::C64 => "<c8",
        DType::C128 => "<c16",
        DType::BF16 => return None,
    })
}

fn from_typestr(s: &str) -> Option<DType> {
    let swapped = s.starts_with('>');
    DType::ALL.into_iter().find(|&d| {
        typestr(d).is_some_and(|t| s.get(1..) == Some(&t[1..]) && (!swapped || d.size() == 1))
    })
}

/// An object kept alive by a storage. Tensors die under the GIL, or with the interpreter, when nothing is left to release.
struct Keep(Option<Py<PyAny>>);

impl Drop for Keep {
    fn drop(&mut self) {
        if let Some(o) = self.0.take().map(Py::into_ptr) {
            // SAFETY: an owned reference, released once; the interpreter is asked whether it still runs.
            unsafe {
                if ffi::Py_IsInitialized() != 0 {
                    ffi::Py_DECREF(o);
                }
            }
        }
    }
}

pub(super) fn from_array(a: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    let py = a.py();
    let i = a.getattr("__array_interface__")?;
    let i = i.cast::<PyDict>()?;
    let get = |k: &str| {
        i.get_item(k)?
            .ok_or_else(|| PyTypeError::new_err(format!("array interface lacks '{k}'")))
    };
    let kind: String = get("typestr")?.extract()?;
    let Some(dtype) = from_typestr(&kind) else {
        let name = a
            .getattr("dtype")
            .and_then(|d| d.str())
            .map(|s| s.to_string())
            .unwrap_or(kind);
        return Err(PyTypeError::new_err(format!(
            "can't convert np.ndarray of type {name}. The only supported types are: float64, float32, float16, complex64, \
             complex128, int64, int32, int16, int8, uint64, uint32, uint16, uint8, and bool."
        )));
    };
    let sizes: Vec<usize> = get("shape")?.extract()?;
    let (address, read_only): (usize, bool) = get("data")?.extract()?;
    let strides: Option<Vec<isize>> = match i.get_item("strides")? {
        Some(s) if !s.is_none() => Some(s.extract()?),
        _ => None,
    };
    let strides = strides.unwrap_or_else(|| {
        shape::contiguous_strides(&sizes)
            .iter()
            .map(|s| s * dtype.size() as isize)
            .collect()
    });
    over(
        py,
        address as *mut u8,
        SmallVec::from_vec(sizes),
        &strides,
        dtype,
        read_only,
        Box::new(Keep(Some(a.clone().unbind()))),
    )
}

/// A tensor that shares memory with a numpy array.
#[pyfunction]
pub(super) fn from_numpy(py: Python<'_>, array: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let is_array = array.get_type().module().is_ok_and(|m| m == "numpy")
        || array.hasattr("__array_interface__")?;
    if !is_array || !array.hasattr("ndim")? || !array.hasattr("__array_interface__")? {
        return Err(PyTypeError::new_err(format!(
            "expected np.ndarray (got {})",
            convert::type_name(array)
        )));
    }
    wrap(py, from_array(array)?)
}

/// numpy's view of a tensor: an object with `__array_interface__` that keeps it alive.
#[pyclass(frozen)]
struct Exporter {
    tensor: Gil<Tensor>,
}

#[pymethods]
impl Exporter {
    #[getter]
    fn __array_interface__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let t = &self.tensor.0;
        let d = PyDict::new(py);
        d.set_item("version", 3)?;
        d.set_item("typestr", typestr(t.dtype()).unwrap_or("|V2"))?;
        d.set_item("shape", PyTuple::new(py, t.sizes())?)?;
        let strides: Vec<isize> = t
            .strides()
            .iter()
            .map(|s| s * t.dtype().size() as isize)
            .collect();
        d.set_item("strides", PyTuple::new(py, strides)?)?;
        // numpy refuses a null address even for no elements.
        let address = if t.numel() == 0 {
            ALIGNED.as_ptr() as usize
        } else {
            t.data_ptr() as usize
        };
        d.set_item("data", (address, t.storage().is_read_only()))?;
        Ok(d.into_any().unbind())
    }
}

/// A numpy array that shares memory with a CPU tensor.
#[pyfunction]
#[pyo3(signature = (tensor, force=false))]
pub(super) fn _numpy(py: Python<'_>, tensor: Arg, force: bool) -> PyResult<Py<PyAny>> {
    let mut t = tensor.0;
    if force {
        t = t
            .detach()
            .to_device(Device::Cpu)
            .map_err(|e| to_py(py, e))?;
    }
    if !t.device().is_cpu() {
        return Err(PyTypeError::new_err(format!(
            "can't convert {} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first.",
            t.device()
        )));
    }
    if t.requires_grad() {
        return Err(PyRuntimeError::new_err(
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.",
        ));
    }
    if typestr(t.dtype()).is_none() {
        return Err(PyTypeError::new_err(format!(
            "Got unsupported ScalarType {}",
            t.dtype().scalar_name()
        )));
    }
    let exporter = Py::new(py, Exporter { tensor: Gil(t) })?;
    Ok(py
        .import("numpy")?
        .getattr("asarray")?
        .call1((exporter,))?
        .unbind())
}
