//! Tensors of nested lists and numbers, and lists of tensors.

use super::buffer::from_buffer_object;
use super::numpy::from_array;
use crate::device::Device;
use crate::dtype::{DType, default_dtype};
use crate::list;
use crate::python::convert;
use crate::python::error::to_py;
use crate::python::object::{Arg, tensor_of, wrap};
use crate::scalar::Scalar;
use crate::shape::{self, Sizes};
use crate::tensor::Tensor;
use pyo3::exceptions::*;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyComplex, PyFloat, PyInt, PyList, PyTuple};

/// The sizes of a nested sequence; every level must be as long as its first item says.
fn nested_sizes(
    o: &Bound<'_, PyAny>,
    sizes: &mut Sizes,
    leaf: &mut Option<Tensor>,
) -> PyResult<()> {
    if sizes.len() > 64 {
        return Err(PyValueError::new_err(
            "too many dimensions: the sequence is nested more than 64 deep",
        ));
    }
    if let Ok(t) = tensor_of(o) {
        sizes.extend_from_slice(t.sizes());
        *leaf = Some(t);
        return Ok(());
    }
    if !is_sequence(o) {
        return Ok(());
    }
    let n = o.len()?;
    sizes.push(n);
    if n > 0 {
        nested_sizes(&o.get_item(0)?, sizes, leaf)?;
    }
    Ok(())
}

fn is_sequence(o: &Bound<'_, PyAny>) -> bool {
    o.is_instance_of::<PyList>()
        || o.is_instance_of::<PyTuple>()
        || (!o.is_instance_of::<pyo3::types::PyString>()
            && !o.is_instance_of::<PyBytes>()
            // SAFETY: a live object under the GIL.
            && unsafe { ffi::PySequence_Check(o.as_ptr()) } != 0
            && o.len().is_ok()
            && convert::number(o).is_ok_and(|n| n.is_none()))
}

/// Collects the numbers of a nested sequence in row-major order.
fn flatten(
    o: &Bound<'_, PyAny>,
    depth: usize,
    sizes: &[usize],
    out: &mut Vec<Scalar>,
) -> PyResult<()> {
    if depth == sizes.len() {
        if let Ok(t) = tensor_of(o) {
            if t.numel() != 1 {
                return Err(PyValueError::new_err(
                    "only one element tensors can be converted to Python scalars",
                ));
            }
            out.push(t.item().map_err(|e| to_py(o.py(), e))?);
            return Ok(());
        }
        return match convert::number(o)? {
            Some(s) => {
                out.push(s);
                Ok(())
            }
            None if is_sequence(o) => Err(PyValueError::new_err(format!(
                "expected a number at dim {depth}, got a sequence of length {}",
                o.len()?
            ))),
            None if o.is_instance_of::<pyo3::types::PyString>()
                || o.is_instance_of::<PyBytes>() =>
            {
                Err(PyTypeError::new_err(format!(
                    "new(): invalid data type '{}'",
                    convert::type_name(o)
                )))
            }
            None => Err(PyRuntimeError::new_err(format!(
                "Could not infer dtype of {}",
                convert::type_name(o)
            ))),
        };
    }
    if let Ok(t) = tensor_of(o) {
        if t.sizes() != &sizes[depth..] {
            return Err(PyValueError::new_err(format!(
                "expected sequence of shape {} at dim {depth} (got {})",
                shape::list(&sizes[depth..]),
                shape::list(t.sizes())
            )));
        }
        let t = t
            .detach()
            .to_device(Device::Cpu)
            .and_then(|t| t.contiguous())
            .map_err(|e| to_py(o.py(), e))?;
        for i in 0..t.numel() {
            // SAFETY: inside a contiguous CPU tensor.
            out.push(unsafe { Scalar::read(t.data_ptr().add(i * t.dtype().size()), t.dtype()) });
        }
        return Ok(());
    }
    if !is_sequence(o) {
        return Err(PyTypeError::new_err(format!(
            "not a sequence: expected a sequence at dim {depth}, got {}",
            convert::type_name(o)
        )));
    }
    let unequal = |n: usize| {
        PyValueError::new_err(format!(
            "expected sequence of length {} at dim {depth} (got {n})",
            sizes[depth]
        ))
    };
    let n = o.len()?;
    if n != sizes[depth] {
        return Err(unequal(n));
    }
    // What is read counts: classes of their own may give other than they say, and change meanwhile.
    let mut read = 0;
    for item in o.try_iter()? {
        if read == n {
            return Err(unequal(n + 1));
        }
        flatten(&item?, depth + 1, sizes, out)?;
        read += 1;
    }
    if read < n {
        return Err(unequal(read));
    }
    Ok(())
}

/// The dtype that numbers in a list ask for together.
fn inferred(values: &[Scalar]) -> DType {
    let mut rank = 0;
    for v in values {
        rank = rank.max(match v {
            Scalar::Bool(_) => 0,
            Scalar::Int(_) => 1,
            Scalar::UInt(_) => 2,
            Scalar::Float(_) => 3,
            Scalar::Complex(..) => 4,
        });
    }
    match rank {
        0 if values.is_empty() => default_dtype(),
        0 => DType::Bool,
        1 => DType::I64,
        2 => DType::U64,
        3 => default_dtype(),
        _ => default_dtype().to_complex(),
    }
}

fn check_range(py: Python<'_>, v: Scalar, dtype: DType) -> PyResult<()> {
    if !dtype.is_integer() {
        return Ok(());
    }
    let i = match v {
        Scalar::Int(i) => i as i128,
        Scalar::UInt(u) => u as i128,
        Scalar::Float(f) if f.is_nan() => {
            return Err(PyValueError::new_err("cannot convert float NaN to integer"));
        }
        Scalar::Float(f) if f.is_infinite() => {
            return Err(PyOverflowError::new_err(
                "cannot convert float infinity to integer",
            ));
        }
        Scalar::Complex(..) => {
            return Err(PyTypeError::new_err("can't convert complex to int"));
        }
        _ => return Ok(()),
    };
    let bits = dtype.size() as u32 * 8;
    let (lo, hi) = if dtype.is_signed() {
        (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
    } else {
        (0, (1i128 << bits) - 1)
    };
    // PyTorch lets negative numbers wrap into unsigned bytes and refuses what does not fit at all.
    if i > hi || (i < lo && (dtype.is_signed() || i < -(1i128 << (bits - 1)) * 2)) {
        let _ = py;
        return Err(PyRuntimeError::new_err(format!(
            "value cannot be converted to type {} without overflow",
            dtype.c_name()
        )));
    }
    Ok(())
}

/// A tensor of nested lists, numbers, or anything array-like; always a copy.
pub fn tensor_from(data: &Bound<'_, PyAny>, dtype: Option<DType>) -> PyResult<Tensor> {
    let py = data.py();
    if let Ok(t) = tensor_of(data) {
        let t = t.detach();
        return t
            .to_options(dtype, None, true, None)
            .map_err(|e| to_py(py, e));
    }
    let too_big = |e: PyErr| {
        if e.is_instance_of::<PyOverflowError>(py) {
            PyValueError::new_err("Overflow when unpacking long long")
        } else {
            e
        }
    };
    if convert::number(data).map_err(too_big)?.is_none()
        && !data.is_instance_of::<PyList>()
        && !data.is_instance_of::<PyTuple>()
        && let Some(t) = foreign_array(data)?
    {
        return t
            .to_options(dtype, None, true, None)
            .map_err(|e| to_py(py, e));
    }
    let mut sizes = Sizes::new();
    let mut leaf = None;
    nested_sizes(data, &mut sizes, &mut leaf)?;
    // One list may be met many times, so that few objects can make more numbers than memory holds.
    let count = shape::numel(&sizes).map_err(|e| to_py(py, e))?;
    let mut values = list::with_room(count).map_err(|e| to_py(py, e))?;
    flatten(data, 0, &sizes, &mut values).map_err(too_big)?;
    if dtype.is_none() && values.iter().any(|v| matches!(v, Scalar::UInt(_))) {
        return Err(PyValueError::new_err("Overflow when unpacking long long"));
    }
    let dtype = dtype.or(leaf.map(|t| t.dtype())).unwrap_or_else(|| {
        // Lists of numpy scalars keep numpy's dtype.
        first_leaf(data)
            .and_then(|o| numpy_dtype(&o))
            .unwrap_or_else(|| inferred(&values))
    });
    let t = Tensor::empty(&sizes, dtype, Device::Cpu).map_err(|e| to_py(py, e))?;
    for (i, v) in values.iter().enumerate() {
        check_range(py, *v, dtype)?;
        if let (Scalar::Complex(_, im), false) = (*v, dtype.is_complex())
            && (im != 0.0 || dtype != DType::Bool)
        {
            return Err(PyTypeError::new_err(format!(
                "can't convert complex to {}",
                if dtype.is_floating() { "float" } else { "int" }
            )));
        }
        // SAFETY: `i` is below the element count of a contiguous tensor.
        unsafe { v.write(t.data_ptr().add(i * dtype.size()), dtype) };
    }
    Ok(t)
}

fn first_leaf<'py>(o: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    let mut o = o.clone();
    while o.is_instance_of::<PyList>() || o.is_instance_of::<PyTuple>() {
        o = o.get_item(0).ok()?;
    }
    // numpy's float64 is a float, but one with a dtype.
    (!o.is_exact_instance_of::<PyFloat>()
        && !o.is_exact_instance_of::<PyInt>()
        && !o.is_exact_instance_of::<PyComplex>())
    .then_some(o)
}

fn numpy_dtype(o: &Bound<'_, PyAny>) -> Option<DType> {
    let d = o.getattr("dtype").ok()?;
    DType::from_name(&d.getattr("name").ok()?.extract::<String>().ok()?)
}

/// Arrays of other libraries: numpy by its interface, others by the buffer protocol or `__array__`.
fn foreign_array(o: &Bound<'_, PyAny>) -> PyResult<Option<Tensor>> {
    if o.hasattr("__array_interface__")? {
        return from_array(o).map(Some);
    }
    // SAFETY: a live object under the GIL.
    if unsafe { ffi::PyObject_CheckBuffer(o.as_ptr()) } != 0 && !o.is_instance_of::<PyBytes>() {
        return from_buffer_object(o).map(Some);
    }
    if o.hasattr("__array__")? && !is_plain_sequence(o) {
        let a = o.py().import("numpy")?.getattr("asarray")?.call1((o,))?;
        return from_array(&a).map(Some);
    }
    Ok(None)
}

fn is_plain_sequence(o: &Bound<'_, PyAny>) -> bool {
    o.is_instance_of::<PyList>() || o.is_instance_of::<PyTuple>()
}

#[pyfunction]
#[pyo3(signature = (data, *, dtype=None, device=None, requires_grad=false, pin_memory=false))]
pub(super) fn tensor(
    py: Python<'_>,
    data: &Bound<'_, PyAny>,
    dtype: Option<&Bound<'_, PyAny>>,
    device: Option<&Bound<'_, PyAny>>,
    requires_grad: bool,
    pin_memory: bool,
) -> PyResult<Py<PyAny>> {
    let _ = pin_memory;
    let t = tensor_from(data, dtype_arg("tensor", dtype)?)?;
    finish(py, t, device, requires_grad)
}

pub(super) fn dtype_arg(op: &str, d: Option<&Bound<'_, PyAny>>) -> PyResult<Option<DType>> {
    match d {
        None => Ok(None),
        Some(d) => match convert::dtype(d) {
            Some(d) => Ok(Some(d)),
            None => Err(PyTypeError::new_err(format!(
                "{op}(): argument 'dtype' must be torch.dtype, not {}",
                convert::type_name(d)
            ))),
        },
    }
}

fn finish(
    py: Python<'_>,
    t: Tensor,
    device: Option<&Bound<'_, PyAny>>,
    requires_grad: bool,
) -> PyResult<Py<PyAny>> {
    let device = match device {
        Some(d) => match convert::device(d) {
            Some(d) => d?,
            None => {
                return Err(PyTypeError::new_err(format!(
                    "tensor(): argument 'device' must be torch.device, not {}",
                    convert::type_name(d)
                )));
            }
        },
        None => crate::ops::create::default_device(),
    };
    let t = t.to_device(device).map_err(|e| to_py(py, e))?;
    if requires_grad && !t.dtype().is_differentiable() {
        return Err(PyRuntimeError::new_err(
            "Only Tensors of floating point and complex dtype can require gradients",
        ));
    }
    if requires_grad {
        t.set_requires_grad(true).map_err(|e| to_py(py, e))?;
    }
    wrap(py, t)
}

/// Shares memory where the dtype and device allow it.
#[pyfunction]
#[pyo3(signature = (data, dtype=None, device=None))]
pub(super) fn as_tensor(
    py: Python<'_>,
    data: &Bound<'_, PyAny>,
    dtype: Option<&Bound<'_, PyAny>>,
    device: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let dtype = dtype_arg("as_tensor", dtype)?;
    let t = match tensor_of(data) {
        Ok(t) => t,
        Err(_) if convert::number(data)?.is_some() || is_plain_sequence(data) => {
            tensor_from(data, dtype)?
        }
        Err(_) => match foreign_array(data)? {
            Some(t) => t,
            None => tensor_from(data, dtype)?,
        },
    };
    let device = match device {
        Some(d) => Some(convert::device(d).ok_or_else(|| {
            PyTypeError::new_err("as_tensor(): argument 'device' must be torch.device")
        })??),
        None => None,
    };
    wrap(
        py,
        t.to_options(dtype, device, false, None)
            .map_err(|e| to_py(py, e))?,
    )
}

fn list(py: Python<'_>, t: &Tensor, d: usize, p: *const u8) -> PyResult<Py<PyAny>> {
    if d == t.ndim() {
        // SAFETY: the pointer walks the tensor's own elements.
        return convert::scalar(py, unsafe { Scalar::read(p, t.dtype()) });
    }
    let step = t.strides()[d] * t.dtype().size() as isize;
    let n = t.sizes()[d] as isize;
    // SAFETY: a list of `n` places, each set once to a new reference while nobody else knows the list. Unlike
    // `PyList::new` this reports it when memory does not suffice.
    unsafe {
        let out = Bound::from_owned_ptr_or_err(py, ffi::PyList_New(n))?;
        for i in 0..n {
            let item = list(py, t, d + 1, p.wrapping_offset(i * step))?;
            ffi::PyList_SetItem(out.as_ptr(), i, item.into_ptr());
        }
        Ok(out.unbind())
    }
}

/// Nested lists of Python numbers.
#[pyfunction]
pub(super) fn _tolist(py: Python<'_>, tensor: Arg) -> PyResult<Py<PyAny>> {
    let t = tensor.0.to_device(Device::Cpu).map_err(|e| to_py(py, e))?;
    list(py, &t, 0, t.data_ptr())
}
