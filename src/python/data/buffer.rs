//! The buffer protocol, both ways.

use super::lists::dtype_arg;
use super::{ALIGNED, over};
use crate::device::Device;
use crate::dtype::DType;
use crate::python::error::{Object, guard, to_py, token};
use crate::python::object::{Arg, peek, wrap};
use crate::shape::Sizes;
use crate::tensor::Tensor;
use pyo3::exceptions::*;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use smallvec::SmallVec;
use std::ffi::{CStr, c_int, c_void};
use std::ptr;

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

pub(super) fn from_buffer_object(o: &Bound<'_, PyAny>) -> PyResult<Tensor> {
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
pub(super) fn frombuffer(
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

/// The bytes of a tensor's elements in row-major order.
#[pyfunction]
pub(super) fn _tensor_bytes<'py>(py: Python<'py>, tensor: Arg) -> PyResult<Bound<'py, PyBytes>> {
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
