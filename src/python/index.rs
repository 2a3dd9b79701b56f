//! `x[...]`: what the key says, step by step.

use super::convert;
use super::error::to_py;
use super::object::{is_tensor, peek, tensor_of};
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::index as advanced;
use crate::tensor::Tensor;
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyEllipsis, PyList, PySlice, PyTuple};
use smallvec::SmallVec;

/// One element of a key.
enum Key<'py> {
    None,
    Ellipsis,
    Int(i64),
    Bool(bool),
    Slice(Bound<'py, PySlice>),
    Tensor(Tensor),
}

fn key<'py>(o: &Bound<'py, PyAny>) -> PyResult<Key<'py>> {
    // SAFETY: a live object under the GIL.
    unsafe {
        if ffi::PyLong_CheckExact(o.as_ptr()) != 0 {
            return o.extract::<i64>().map(Key::Int);
        }
        if is_tensor(o.as_ptr()) {
            let Some(t) = peek(o.as_ptr()) else { return Ok(Key::None) };
            if t.ndim() == 0 && t.dtype().is_integer() && !t.requires_grad() {
                return Ok(Key::Int(t.item().map_err(|e| to_py(o.py(), e))?.to_i64()));
            }
            return Ok(Key::Tensor(t.clone()));
        }
    }
    if let Ok(s) = o.cast::<PySlice>() {
        return Ok(Key::Slice(s.clone()));
    }
    if o.is_none() {
        return Ok(Key::None);
    }
    if o.is_instance_of::<PyEllipsis>() {
        return Ok(Key::Ellipsis);
    }
    if let Ok(b) = o.cast::<PyBool>() {
        return Ok(Key::Bool(b.is_true()));
    }
    if o.is_instance_of::<PyList>() || o.is_instance_of::<PyTuple>() || o.hasattr("__array__")? && o.hasattr("ndim")? {
        let is_scalar = o.getattr("ndim").ok().and_then(|n| n.extract::<usize>().ok()) == Some(0);
        if !is_scalar {
            let t = tensor_of(&o.py().import("rtorch")?.getattr("as_tensor")?.call1((o,))?)?;
            // An empty list selects nothing.
            let t = if t.numel() == 0 && !t.dtype().is_integral() {
                t.to_dtype(DType::I64).map_err(|e| to_py(o.py(), e))?
            } else {
                t
            };
            return Ok(Key::Tensor(t));
        }
    }
    // SAFETY: a live object under the GIL.
    if unsafe { ffi::PyIndex_Check(o.as_ptr()) } != 0 {
        return o.call_method0("__index__")?.extract::<i64>().map(Key::Int);
    }
    Err(PyIndexError::new_err(format!(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got {})",
        convert::type_name(o)
    )))
}

fn bound_of(o: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    if o.is_none() {
        return Ok(None);
    }
    match o.extract::<i64>() {
        Ok(v) => Ok(Some(v)),
        Err(_) => {
            // SAFETY: a live object under the GIL.
            if unsafe { ffi::PyIndex_Check(o.as_ptr()) } == 0 {
                return Err(PyTypeError::new_err("slice indices must be integers or None or have an __index__ method"));
            }
            let i = o.call_method0("__index__")?;
            // Beyond 64 bits means the end.
            Ok(Some(i.extract::<i64>().unwrap_or(if i.lt(0)? { i64::MIN + 1 } else { i64::MAX })))
        }
    }
}

/// What is left after the steps that are views: a tensor, and index tensors with the first axis each applies to.
struct Resolved {
    view: Tensor,
    indices: SmallVec<[(usize, Tensor); 4]>,
}

fn resolve(py: Python<'_>, x: &Tensor, o: &Bound<'_, PyAny>) -> PyResult<Resolved> {
    let mut keys: SmallVec<[Key<'_>; 4]> = SmallVec::new();
    match o.cast::<PyTuple>() {
        Ok(t) => {
            for item in t.iter() {
                keys.push(key(&item)?);
            }
        }
        Err(_) => keys.push(key(o)?),
    }
    let e = |e| to_py(py, e);
    let consumed: usize = keys
        .iter()
        .map(|k| match k {
            Key::Int(_) | Key::Slice(_) => 1,
            Key::Tensor(t) if matches!(t.dtype(), DType::Bool | DType::U8) => t.ndim(),
            Key::Tensor(_) => 1,
            _ => 0,
        })
        .sum();
    if consumed > x.ndim() {
        return Err(PyIndexError::new_err(format!("too many indices for tensor of dimension {}", x.ndim())));
    }
    let mut view = x.clone();
    let mut indices: SmallVec<[(usize, Tensor); 4]> = SmallVec::new();
    let mut dim = 0usize;
    let mut seen_ellipsis = false;
    for k in keys {
        match k {
            Key::Ellipsis => {
                if seen_ellipsis {
                    continue;
                }
                seen_ellipsis = true;
                dim += x.ndim() - consumed;
            }
            Key::None => {
                view = view.unsqueeze(dim as i64).map_err(e)?;
                dim += 1;
            }
            Key::Int(i) => {
                let n = view.sizes().get(dim).copied().unwrap_or(0) as i64;
                if i < -n || i >= n {
                    return Err(PyIndexError::new_err(format!(
                        "index {i} is out of bounds for dimension {dim} with size {n}"
                    )));
                }
                view = view.select(dim as i64, i).map_err(e)?;
            }
            Key::Slice(s) => {
                let start = bound_of(&s.getattr("start")?)?;
                let stop = bound_of(&s.getattr("stop")?)?;
                let step = bound_of(&s.getattr("step")?)?.unwrap_or(1);
                if step <= 0 {
                    return Err(PyValueError::new_err("step must be greater than zero"));
                }
                view = view.slice(dim as i64, start, stop, step).map_err(e)?;
                dim += 1;
            }
            Key::Bool(b) => {
                // A Python bool adds an axis of size one, kept or emptied.
                view = view.unsqueeze(dim as i64).map_err(e)?;
                let mask = Tensor::full(&[1], b, DType::Bool, crate::device::Device::Cpu).map_err(e)?;
                indices.push((dim, mask));
                dim += 1;
            }
            Key::Tensor(t) => {
                if !t.dtype().is_integral() || matches!(t.dtype(), DType::U16 | DType::U32 | DType::U64) {
                    return Err(PyIndexError::new_err("tensors used as indices must be long, int, byte or bool tensors"));
                }
                let takes = if matches!(t.dtype(), DType::Bool | DType::U8) { t.ndim() } else { 1 };
                if takes == 0 {
                    view = view.unsqueeze(dim as i64).map_err(e)?;
                    let flag = t.item().map_err(e)?.to_bool();
                    let mask = Tensor::full(&[1], flag, DType::Bool, crate::device::Device::Cpu).map_err(e)?;
                    indices.push((dim, mask));
                    dim += 1;
                    continue;
                }
                indices.push((dim, t));
                dim += takes;
            }
        }
    }
    Ok(Resolved { view, indices })
}

pub fn get(py: Python<'_>, x: &Tensor, o: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    let r = resolve(py, x, o)?;
    let out: Result<Tensor> = if r.indices.is_empty() {
        if r.view.same(x) { x.alias() } else { Ok(r.view) }
    } else {
        advanced::index(&r.view, &r.indices)
    };
    out.map_err(|e| to_py(py, e))
}

pub fn set(py: Python<'_>, x: &Tensor, o: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let r = resolve(py, x, o)?;
    let number = convert::number(value)?;
    let v = match number {
        Some(s) => Tensor::scalar(s, if s.is_complex() && !x.dtype().is_complex() { s.dtype() } else { x.dtype() }),
        None => match tensor_of(value) {
            Ok(t) => Ok(t),
            Err(_) if value.hasattr("__array__")? || value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() => {
                Ok(tensor_of(&py.import("rtorch")?.getattr("as_tensor")?.call1((value,))?)?)
            }
            Err(_) => {
                return Err(PyTypeError::new_err(format!(
                    "can't assign a {} to a torch.{}Tensor",
                    convert::type_name(value),
                    x.dtype().scalar_name()
                )));
            }
        },
    };
    let done: Result<()> = (|| {
        let v = v?;
        let v = if v.device() != x.device() && v.ndim() == 0 { v.to_device(x.device())? } else { v };
        if r.indices.is_empty() {
            let target = if r.view.same(x) { x.clone() } else { r.view };
            target.copy_(&v)?;
        } else {
            advanced::index_put_(&r.view, &r.indices, &v, false)?;
        }
        Ok(())
    })();
    done.map_err(|e| to_py(py, e))
}
