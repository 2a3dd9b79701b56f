//! Data in and out: nested lists, numpy and the buffer protocol, DLPack, and facts about memory.

use super::convert;
use super::error::{Object, guard, to_py, token};
use super::gil::Gil;
use super::object::{Arg, peek, tensor_of, wrap};
use super::types::PyDevice;
use crate::device::Device;
use crate::dtype::{DType, default_dtype};
use crate::scalar::Scalar;
use crate::shape::{self, Sizes, Strides};
use crate::storage::Storage;
use crate::tensor::Tensor;
use pyo3::exceptions::*;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyComplex, PyDict, PyFloat, PyInt, PyList, PyTuple};
use smallvec::SmallVec;
use std::ffi::{CStr, c_int, c_void};
use std::ptr;

// ---- lists

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
    let n = o.len()?;
    if n != sizes[depth] {
        return Err(PyValueError::new_err(format!(
            "expected sequence of length {} at dim {depth} (got {n})",
            sizes[depth]
        )));
    }
    if let Ok(l) = o.cast::<PyList>() {
        for item in l.iter() {
            flatten(&item, depth + 1, sizes, out)?;
        }
    } else {
        for item in o.try_iter()? {
            flatten(&item?, depth + 1, sizes, out)?;
        }
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
            match dtype {
                DType::U8 => "uint8_t",
                DType::I8 => "int8_t",
                DType::I16 => "int16_t",
                DType::I32 => "int",
                d => d.name(),
            }
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
    let mut values = Vec::new();
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
fn tensor(
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

fn dtype_arg(op: &str, d: Option<&Bound<'_, PyAny>>) -> PyResult<Option<DType>> {
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
fn as_tensor(
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
    let items = (0..t.sizes()[d] as isize)
        .map(|i| list(py, t, d + 1, p.wrapping_offset(i * step)))
        .collect::<PyResult<Vec<_>>>()?;
    Ok(PyList::new(py, items)?.into_any().unbind())
}

/// Nested lists of Python numbers.
#[pyfunction]
fn _tolist(py: Python<'_>, tensor: Arg) -> PyResult<Py<PyAny>> {
    let t = tensor.0.to_device(Device::Cpu).map_err(|e| to_py(py, e))?;
    list(py, &t, 0, t.data_ptr())
}

// ---- numpy

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
    DType::ALL
        .into_iter()
        .find(|&d| typestr(d).is_some_and(|t| t[1..] == s[1..] && (!swapped || d.size() == 1)))
}

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

fn from_array(a: &Bound<'_, PyAny>) -> PyResult<Tensor> {
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
fn from_numpy(py: Python<'_>, array: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
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
static ALIGNED: [u64; 8] = [0; 8];

/// A numpy array that shares memory with a CPU tensor.
#[pyfunction]
#[pyo3(signature = (tensor, force=false))]
fn _numpy(py: Python<'_>, tensor: Arg, force: bool) -> PyResult<Py<PyAny>> {
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

// ---- the buffer protocol

/// struct's format of a dtype.
fn format(d: DType) -> Option<&'static CStr> {
    Some(match d {
        DType::Bool => c"?",
        DType::U8 => c"B",
        DType::I8 => c"b",
        DType::I16 => c"h",
        DType::I32 => c"i",
        DType::I64 => c"q",
        DType::U16 => c"H",
        DType::U32 => c"I",
        DType::U64 => c"Q",
        DType::F16 => c"e",
        DType::F32 => c"f",
        DType::F64 => c"d",
        DType::C64 => c"Zf",
        DType::C128 => c"Zd",
        DType::BF16 => return None,
    })
}

fn from_format(f: &str, item: usize) -> Option<DType> {
    let f = f.trim_start_matches(['@', '=', '<']);
    match (f, item) {
        ("l", 8) | ("n", 8) => Some(DType::I64),
        ("l", 4) => Some(DType::I32),
        ("L", 8) | ("N", 8) => Some(DType::U64),
        ("L", 4) => Some(DType::U32),
        ("c", 1) => Some(DType::U8),
        _ => DType::ALL
            .into_iter()
            .find(|&d| format(d).and_then(|c| c.to_str().ok()) == Some(f) && d.size() == item),
    }
}

/// What a buffer view needs while it lives.
struct Exported {
    _tensor: Tensor,
    shape: Vec<ffi::Py_ssize_t>,
    strides: Vec<ffi::Py_ssize_t>,
}

pub unsafe extern "C" fn get_buffer(o: Object, view: *mut ffi::Py_buffer, flags: c_int) -> c_int {
    // SAFETY: called by the interpreter with a view to fill.
    unsafe {
        let py = token();
        (*view).obj = ptr::null_mut();
        guard(py, -1, || {
            let Some(t) = peek(o) else {
                return Err(PyBufferError::new_err("no tensor"));
            };
            let Some(f) = format(t.dtype()) else {
                return Err(PyBufferError::new_err(format!(
                    "the buffer protocol has no format for {}",
                    t.dtype().name()
                )));
            };
            if !t.device().is_cpu() || t.requires_grad() {
                return Err(PyBufferError::new_err(
                    "only CPU tensors that do not require grad export buffers; use tensor.detach().cpu()",
                ));
            }
            let read_only = t.storage().is_read_only();
            if flags & ffi::PyBUF_WRITABLE != 0 && read_only {
                return Err(PyBufferError::new_err("the tensor's memory is read-only"));
            }
            if flags & ffi::PyBUF_STRIDES != ffi::PyBUF_STRIDES && !t.is_contiguous() {
                return Err(PyBufferError::new_err("the tensor is not contiguous"));
            }
            let item = t.dtype().size() as ffi::Py_ssize_t;
            let mut e = Box::new(Exported {
                _tensor: t.clone(),
                shape: t.sizes().iter().map(|&n| n as ffi::Py_ssize_t).collect(),
                strides: t
                    .strides()
                    .iter()
                    .map(|&s| s as ffi::Py_ssize_t * item)
                    .collect(),
            });
            let v = &mut *view;
            v.buf = if t.numel() == 0 {
                ALIGNED.as_ptr() as *mut c_void
            } else {
                t.data_ptr() as *mut c_void
            };
            v.len = t.numel() as ffi::Py_ssize_t * item;
            v.itemsize = item;
            v.readonly = read_only as c_int;
            v.ndim = t.ndim() as c_int;
            v.format = if flags & ffi::PyBUF_FORMAT != 0 {
                f.as_ptr() as *mut _
            } else {
                ptr::null_mut()
            };
            v.shape = if flags & ffi::PyBUF_ND != 0 {
                e.shape.as_mut_ptr()
            } else {
                ptr::null_mut()
            };
            v.strides = if flags & ffi::PyBUF_STRIDES == ffi::PyBUF_STRIDES {
                e.strides.as_mut_ptr()
            } else {
                ptr::null_mut()
            };
            v.suboffsets = ptr::null_mut();
            v.internal = Box::into_raw(e) as *mut c_void;
            ffi::Py_INCREF(o);
            v.obj = o;
            Ok(0)
        })
    }
}

pub unsafe extern "C" fn release_buffer(_: Object, view: *mut ffi::Py_buffer) {
    // SAFETY: `internal` is the box made in `get_buffer`, released once.
    unsafe {
        let e = std::mem::replace(&mut (*view).internal, ptr::null_mut()) as *mut Exported;
        if !e.is_null() {
            drop(Box::from_raw(e));
        }
    }
}

/// A `Py_buffer` that is released on drop.
struct View(Box<ffi::Py_buffer>);
impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: filled by PyObject_GetBuffer, released once; tensors die under the GIL or with the interpreter.
        unsafe {
            if ffi::Py_IsInitialized() != 0 {
                ffi::PyBuffer_Release(&mut *self.0);
            }
        }
    }
}

fn view_of(o: &Bound<'_, PyAny>) -> PyResult<(View, bool)> {
    // SAFETY: a Py_buffer of zeros is an empty one.
    let mut v: Box<ffi::Py_buffer> = unsafe { Box::new(std::mem::zeroed()) };
    // SAFETY: a live object; the view is zeroed and owned.
    unsafe {
        if ffi::PyObject_GetBuffer(o.as_ptr(), &mut *v, ffi::PyBUF_FULL) == 0 {
            let read_only = v.readonly != 0;
            return Ok((View(v), read_only));
        }
        ffi::PyErr_Clear();
        if ffi::PyObject_GetBuffer(o.as_ptr(), &mut *v, ffi::PyBUF_FULL_RO) != 0 {
            return Err(PyErr::fetch(o.py()));
        }
    }
    Ok((View(v), true))
}

fn from_buffer_object(o: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    let (v, read_only) = view_of(o)?;
    let b = &v.0;
    let item = b.itemsize as usize;
    let text = if b.format.is_null() {
        "B".to_string()
    } else {
        // SAFETY: the exporter's format string lives as long as the view.
        unsafe { CStr::from_ptr(b.format) }
            .to_string_lossy()
            .into_owned()
    };
    let Some(dtype) = from_format(&text, item) else {
        return Err(PyTypeError::new_err(format!(
            "can't convert a buffer of format '{text}' to a tensor"
        )));
    };
    let n = b.ndim as usize;
    // SAFETY: with PyBUF_FULL shape and strides hold `ndim` entries.
    let (sizes, strides): (Sizes, Vec<isize>) = unsafe {
        if n == 0 || b.shape.is_null() {
            (SmallVec::new(), Vec::new())
        } else {
            let s = std::slice::from_raw_parts(b.shape, n)
                .iter()
                .map(|&x| x as usize)
                .collect();
            let t = std::slice::from_raw_parts(b.strides, n).to_vec();
            (s, t)
        }
    };
    let data = b.buf as *mut u8;
    over(o.py(), data, sizes, &strides, dtype, read_only, Box::new(v))
}

/// A 1-d tensor over the bytes of a buffer.
#[pyfunction]
#[pyo3(signature = (buffer, *, dtype, count=-1, offset=0, requires_grad=false))]
fn frombuffer(
    py: Python<'_>,
    buffer: &Bound<'_, PyAny>,
    dtype: &Bound<'_, PyAny>,
    count: i64,
    offset: i64,
    requires_grad: bool,
) -> PyResult<Py<PyAny>> {
    let dtype = dtype_arg("frombuffer", Some(dtype))?.unwrap_or(DType::F32);
    // SAFETY: a live object under the GIL.
    if unsafe { ffi::PyObject_CheckBuffer(buffer.as_ptr()) } == 0 {
        return Err(PyValueError::new_err(
            "object does not implement Python buffer protocol.",
        ));
    }
    let (v, read_only) = view_of(buffer)?;
    let (len, item) = (v.0.len as i64, dtype.size() as i64);
    if len <= 0 || count == 0 {
        return Err(PyValueError::new_err(format!(
            "both buffer length ({len}) and count ({count}) must not be 0"
        )));
    }
    if offset < 0 || offset >= len {
        return Err(PyValueError::new_err(format!(
            "offset ({offset} bytes) must be non-negative and no greater than buffer length ({len} bytes) minus 1"
        )));
    }
    if count < 0 && (len - offset) % item != 0 {
        return Err(PyValueError::new_err(format!(
            "buffer length ({} bytes) after offset ({offset} bytes) must be a multiple of element size ({item})",
            len - offset
        )));
    }
    let n = if count < 0 {
        (len - offset) / item
    } else {
        count
    };
    if n.checked_mul(item)
        .and_then(|b| b.checked_add(offset))
        .is_none_or(|end| end > len)
    {
        return Err(PyValueError::new_err(format!(
            "requested buffer length ({n} * {item} bytes) after offset ({offset} bytes) must not be greater than actual \
             buffer length ({len} bytes)"
        )));
    }
    let data = (v.0.buf as *mut u8).wrapping_add(offset as usize);
    let t = if (data as usize).is_multiple_of(dtype.size().min(8)) {
        over(
            py,
            data,
            SmallVec::from_slice(&[n as usize]),
            &[item as isize],
            dtype,
            read_only,
            Box::new(v),
        )?
    } else {
        // Elements at odd addresses are copied: kernels read aligned memory.
        let t = Tensor::empty(&[n as usize], dtype, Device::Cpu).map_err(|e| to_py(py, e))?;
        // SAFETY: both hold `n * item` bytes.
        unsafe { ptr::copy_nonoverlapping(data, t.data_ptr(), (n * item) as usize) };
        t
    };
    if requires_grad {
        t.set_requires_grad(true).map_err(|e| to_py(py, e))?;
    }
    wrap(py, t)
}

// ---- DLPack

#[repr(C)]
struct DlTensor {
    data: *mut c_void,
    device_type: i32,
    device_id: i32,
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}
#[repr(C)]
struct Managed {
    dl: DlTensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Managed)>,
}
struct DlExport {
    _tensor: Tensor,
    shape: Vec<i64>,
    strides: Vec<i64>,
}

fn dl_type(d: DType) -> (u8, u8) {
    let bits = d.size() as u8 * 8;
    match d {
        DType::Bool => (6, 8),
        DType::BF16 => (4, 16),
        d if d.is_complex() => (5, bits),
        d if d.is_floating() => (2, bits),
        d if d.is_signed() => (0, bits),
        _ => (1, bits),
    }
}

unsafe extern "C" fn dl_delete(m: *mut Managed) {
    // SAFETY: made by `_to_dlpack`, deleted once by its consumer, which may be on a thread without the GIL.
    unsafe {
        let gil = ffi::PyGILState_Ensure();
        let m = Box::from_raw(m);
        drop(Box::from_raw(m.context as *mut DlExport));
        ffi::PyGILState_Release(gil);
    }
}

unsafe extern "C" fn dl_capsule_gone(capsule: Object) {
    // SAFETY: called by the interpreter on the capsule; a consumed one has another name.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule, c"dltensor".as_ptr()) != 0 {
            let m = ffi::PyCapsule_GetPointer(capsule, c"dltensor".as_ptr()) as *mut Managed;
            if let (false, Some(delete)) = (m.is_null(), (*m).deleter) {
                delete(m);
            }
        }
    }
}

/// A DLPack capsule that shares memory with a CPU tensor.
#[pyfunction]
fn _to_dlpack(py: Python<'_>, tensor: Arg) -> PyResult<Py<PyAny>> {
    let t = tensor.0;
    if t.requires_grad() {
        return Err(PyBufferError::new_err(
            "Can't export tensors that require gradient, use tensor.detach()",
        ));
    }
    if !t.device().is_cpu() {
        return Err(PyBufferError::new_err(
            "only CPU tensors can be exported through DLPack; use tensor.cpu()",
        ));
    }
    let (code, bits) = dl_type(t.dtype());
    let data = t.data_ptr() as *mut c_void;
    let mut e = Box::new(DlExport {
        shape: t.sizes().iter().map(|&n| n as i64).collect(),
        strides: t.strides().iter().map(|&s| s as i64).collect(),
        _tensor: t,
    });
    let (shape, strides, ndim) = (
        e.shape.as_mut_ptr(),
        e.strides.as_mut_ptr(),
        e.shape.len() as i32,
    );
    let m = Box::into_raw(Box::new(Managed {
        dl: DlTensor {
            data,
            device_type: 1,
            device_id: 0,
            ndim,
            code,
            bits,
            lanes: 1,
            shape,
            strides,
            byte_offset: 0,
        },
        context: Box::into_raw(e) as *mut c_void,
        deleter: Some(dl_delete),
    }));
    // SAFETY: the capsule owns the managed tensor until a consumer renames it.
    unsafe {
        let c = ffi::PyCapsule_New(
            m as *mut c_void,
            c"dltensor".as_ptr(),
            Some(dl_capsule_gone),
        );
        if c.is_null() {
            dl_delete(m);
            return Err(PyErr::fetch(py));
        }
        Ok(Bound::from_owned_ptr(py, c).unbind())
    }
}

struct DlImport(*mut Managed);
impl Drop for DlImport {
    fn drop(&mut self) {
        // SAFETY: taken over from a capsule; the producer's deleter runs once.
        unsafe {
            if let Some(delete) = (*self.0).deleter {
                delete(self.0);
            }
        }
    }
}

/// A tensor that shares memory with a DLPack capsule.
#[pyfunction]
fn _from_dlpack_capsule(py: Python<'_>, capsule: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    if capsule.cast::<PyCapsule>().is_err() {
        return Err(PyTypeError::new_err(format!(
            "expected a DLPack capsule, got {}",
            convert::type_name(capsule)
        )));
    }
    // SAFETY: the capsule is checked to be a fresh DLPack one and then marked as used.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule.as_ptr(), c"dltensor".as_ptr()) == 0 {
            return Err(PyRuntimeError::new_err(
                "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so you might have already constructed a tensor from it once.",
            ));
        }
        let m = ffi::PyCapsule_GetPointer(capsule.as_ptr(), c"dltensor".as_ptr()) as *mut Managed;
        let dl = &(*m).dl;
        if dl.device_type != 1 {
            return Err(PyBufferError::new_err(format!(
                "from_dlpack: device type {} is not the CPU",
                dl.device_type
            )));
        }
        let Some(dtype) = DType::ALL
            .into_iter()
            .find(|&d| dl.lanes == 1 && dl_type(d) == (dl.code, dl.bits))
        else {
            return Err(PyBufferError::new_err(format!(
                "from_dlpack: unsupported type code {} of {} bits",
                dl.code, dl.bits
            )));
        };
        let n = dl.ndim.max(0) as usize;
        let sizes: Sizes = if n == 0 {
            SmallVec::new()
        } else {
            std::slice::from_raw_parts(dl.shape, n)
                .iter()
                .map(|&s| s as usize)
                .collect()
        };
        let item = dtype.size() as isize;
        let strides: Vec<isize> = if n == 0 {
            Vec::new()
        } else if dl.strides.is_null() {
            shape::contiguous_strides(&sizes)
                .iter()
                .map(|s| s * item)
                .collect()
        } else {
            std::slice::from_raw_parts(dl.strides, n)
                .iter()
                .map(|&s| s as isize * item)
                .collect()
        };
        let data = (dl.data as *mut u8).wrapping_add(dl.byte_offset as usize);
        ffi::PyCapsule_SetName(capsule.as_ptr(), c"used_dltensor".as_ptr());
        wrap(
            py,
            over(
                py,
                data,
                sizes,
                &strides,
                dtype,
                false,
                Box::new(DlImport(m)),
            )?,
        )
    }
}

// ---- facts

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
/// The bytes of a tensor's elements in row-major order.
#[pyfunction]
fn _tensor_bytes<'py>(py: Python<'py>, tensor: Arg) -> PyResult<Bound<'py, PyBytes>> {
    let t = tensor
        .0
        .detach()
        .to_device(Device::Cpu)
        .and_then(|t| t.contiguous())
        .map_err(|e| to_py(py, e))?;
    // SAFETY: a contiguous CPU tensor's own bytes.
    Ok(PyBytes::new(py, unsafe {
        std::slice::from_raw_parts(
            if t.numel() == 0 {
                ALIGNED.as_ptr() as *const u8
            } else {
                t.data_ptr()
            },
            t.numel() * t.dtype().size(),
        )
    }))
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    for f in [
        wrap_pyfunction!(tensor, m)?,
        wrap_pyfunction!(as_tensor, m)?,
        wrap_pyfunction!(_tolist, m)?,
        wrap_pyfunction!(from_numpy, m)?,
        wrap_pyfunction!(_numpy, m)?,
        wrap_pyfunction!(frombuffer, m)?,
        wrap_pyfunction!(_to_dlpack, m)?,
        wrap_pyfunction!(_from_dlpack_capsule, m)?,
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
        wrap_pyfunction!(_tensor_bytes, m)?,
    ] {
        m.add_function(f)?;
    }
    Ok(())
}
