//! Python values to arguments of the table and results back to Python.

use super::error::{from_py, to_py};
use super::object::{is_tensor, peek, wrap};
use super::types::{PyDType, PyDevice, PyGenerator, PyLayout, PyMemoryFormat, dtype_object};
use crate::device::Device;
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::args::{Arg, Value};
use crate::ops::schema::{Param, Type};
use crate::scalar::Scalar;
use crate::tensor::Tensor;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyComplex, PyFloat, PyInt, PyList, PyString, PyTuple};
use smallvec::SmallVec;

/// A Python number, if the object is one. Integers beyond 64 bits are an overflow error.
#[inline]
pub fn number(o: &Bound<'_, PyAny>) -> PyResult<Option<Scalar>> {
    let p = o.as_ptr();
    // SAFETY: a live object under the GIL.
    unsafe {
        if ffi::PyFloat_CheckExact(p) != 0 {
            return Ok(Some(Scalar::Float(ffi::PyFloat_AsDouble(p))));
        }
        if ffi::PyBool_Check(p) != 0 {
            return Ok(Some(Scalar::Bool(p == ffi::Py_True())));
        }
        if ffi::PyLong_Check(p) != 0 {
            return long(o).map(Some);
        }
    }
    slow_number(o)
}

fn long(o: &Bound<'_, PyAny>) -> PyResult<Scalar> {
    let mut overflow = 0;
    // SAFETY: `o` is an int.
    let v = unsafe { ffi::PyLong_AsLongLongAndOverflow(o.as_ptr(), &mut overflow) };
    if overflow == 0 {
        return Ok(Scalar::Int(v));
    }
    match o.extract::<u64>() {
        Ok(v) => Ok(Scalar::UInt(v)),
        Err(_) => Err(pyo3::exceptions::PyOverflowError::new_err(
            "int too big to convert",
        )),
    }
}

#[cold]
fn slow_number(o: &Bound<'_, PyAny>) -> PyResult<Option<Scalar>> {
    if let Ok(f) = o.cast::<PyFloat>() {
        return Ok(Some(Scalar::Float(f.value())));
    }
    if let Ok(c) = o.cast::<PyComplex>() {
        return Ok(Some(Scalar::Complex(c.real(), c.imag())));
    }
    if is_numpy_scalar(o) {
        let item = o.call_method0("item")?;
        return if item.is_instance_of::<PyInt>()
            || item.is_instance_of::<PyFloat>()
            || item.is_instance_of::<PyComplex>()
        {
            number(&item)
        } else {
            Ok(None)
        };
    }
    Ok(None)
}

/// numpy's scalars are recognised by their class's module, so that numpy is not imported.
fn is_numpy_scalar(o: &Bound<'_, PyAny>) -> bool {
    let t = o.get_type();
    t.module().is_ok_and(|m| m == "numpy")
        && t.name().is_ok_and(|n| n != "ndarray")
        && o.hasattr("dtype").unwrap_or(false)
}

/// An int for an index or size: ints and what has `__index__`, one-element integer tensors; not bools of numpy, not floats.
pub fn index(o: &Bound<'_, PyAny>) -> Option<PyResult<i64>> {
    // SAFETY: a live object under the GIL.
    unsafe {
        let p = o.as_ptr();
        if ffi::PyLong_CheckExact(p) != 0 {
            return Some(long(o).map(Scalar::to_i64));
        }
        if ffi::PyFloat_Check(p) != 0 || ffi::PyBool_Check(p) != 0 {
            return (ffi::PyBool_Check(p) != 0).then_some(Ok((p == ffi::Py_True()) as i64));
        }
        if is_tensor(p) {
            let t = peek(p)?;
            if t.numel() == 1
                && t.dtype().is_integral()
                && t.dtype() != DType::Bool
                && t.ndim() == 0
            {
                return Some(t.item().map(|s| s.to_i64()).map_err(|e| to_py(o.py(), e)));
            }
            return None;
        }
        if ffi::PyIndex_Check(p) == 0 {
            return None;
        }
        let i = ffi::PyNumber_Index(p);
        if i.is_null() {
            return Some(Err(PyErr::fetch(o.py())));
        }
        Some(long(&Bound::from_owned_ptr(o.py(), i)).map(Scalar::to_i64))
    }
}

pub fn tensor(o: &Bound<'_, PyAny>) -> Option<Tensor> {
    // SAFETY: a live object under the GIL.
    unsafe {
        if is_tensor(o.as_ptr()) {
            peek(o.as_ptr()).cloned()
        } else {
            None
        }
    }
}

/// The items of a list or tuple.
fn sequence<'py>(o: &Bound<'py, PyAny>) -> Option<SmallVec<[Bound<'py, PyAny>; 6]>> {
    if let Ok(t) = o.cast::<PyTuple>() {
        return Some(t.iter().collect());
    }
    if let Ok(l) = o.cast::<PyList>() {
        return Some(l.iter().collect());
    }
    None
}

/// A dtype object, or one of the Python types float, int, bool and complex.
pub fn dtype(o: &Bound<'_, PyAny>) -> Option<DType> {
    if let Ok(d) = o.cast::<PyDType>() {
        return Some(d.get().value);
    }
    let py = o.py();
    if o.is(py.get_type::<PyFloat>()) {
        return Some(DType::F64);
    }
    if o.is(py.get_type::<PyBool>()) {
        return Some(DType::Bool);
    }
    if o.is(py.get_type::<PyInt>()) {
        return Some(DType::I64);
    }
    if o.is(py.get_type::<PyComplex>()) {
        return Some(DType::C128);
    }
    None
}

pub fn device(o: &Bound<'_, PyAny>) -> Option<PyResult<Device>> {
    if let Ok(d) = o.cast::<PyDevice>() {
        return Some(Ok(d.get().value));
    }
    let s = o.cast::<PyString>().ok()?;
    Some(
        s.to_cow()
            .and_then(|s| Device::parse(&s).map_err(|e| to_py(o.py(), e))),
    )
}

/// Converts one argument; `None` where its type does not fit the parameter.
#[inline]
pub fn argument(p: &Param, o: &Bound<'_, PyAny>) -> PyResult<Option<Arg>> {
    if o.is_none() {
        if p.optional {
            return Ok(Some(Arg::None));
        }
        // A default that is a list or number also stands for None in PyTorch's `int[]` parameters only.
        return Ok(None);
    }
    Ok(match p.ty {
        Type::Tensor => tensor(o).map(Arg::Tensor),
        Type::Scalar => match number(o)? {
            Some(s) => Some(Arg::Scalar(s)),
            None => match tensor(o) {
                // A 0-d tensor without history stands for its number.
                Some(t) if t.ndim() == 0 && !t.requires_grad() => {
                    Some(Arg::Scalar(t.item().map_err(|e| to_py(o.py(), e))?))
                }
                _ => None,
            },
        },
        Type::Int => match index(o) {
            Some(i) => Some(Arg::Int(i?)),
            None => None,
        },
        Type::Float => match number(o)? {
            Some(Scalar::Complex(..)) => None,
            Some(s) => Some(Arg::Float(s.to_f64())),
            None => match tensor(o) {
                Some(t) if t.ndim() == 0 && !t.requires_grad() && !t.dtype().is_complex() => {
                    Some(Arg::Float(t.item().map_err(|e| to_py(o.py(), e))?.to_f64()))
                }
                _ => None,
            },
        },
        Type::Bool => {
            if let Ok(b) = o.cast::<PyBool>() {
                Some(Arg::Bool(b.is_true()))
            } else if is_numpy_scalar(o)
                && o.get_type()
                    .name()
                    .is_ok_and(|n| n == "bool" || n == "bool_")
            {
                Some(Arg::Bool(o.is_truthy()?))
            } else {
                None
            }
        }
        Type::Ints(n) => match sequence(o) {
            Some(items) => {
                let mut out: SmallVec<[i64; 6]> = SmallVec::new();
                for item in &items {
                    match index(item) {
                        Some(i) => out.push(i?),
                        None => return Ok(None),
                    }
                }
                // A list of one stands for as many as the parameter has.
                if let (Some(n), 1) = (n, out.len()) {
                    let v = out[0];
                    out.resize(n as usize, v);
                }
                Some(Arg::Ints(out))
            }
            None => match (n, index(o)) {
                (Some(n), Some(i)) => Some(Arg::Ints(SmallVec::from_elem(i?, n as usize))),
                (None, Some(_)) | (_, None) => None,
            },
        },
        Type::Floats => match sequence(o) {
            Some(items) => {
                let mut out = Vec::with_capacity(items.len());
                for item in &items {
                    match number(item)? {
                        Some(s) => out.push(s.to_f64()),
                        None => return Ok(None),
                    }
                }
                Some(Arg::Floats(out))
            }
            None => None,
        },
        Type::Bools => match sequence(o) {
            Some(items) => {
                let bools: Option<Vec<bool>> = items
                    .iter()
                    .map(|i| i.cast::<PyBool>().ok().map(|b| b.is_true()))
                    .collect();
                bools.map(Arg::Bools)
            }
            None => None,
        },
        Type::Scalars => match sequence(o) {
            Some(items) => {
                let mut out = Vec::with_capacity(items.len());
                for item in &items {
                    match number(item)? {
                        Some(s) => out.push(s),
                        None => return Ok(None),
                    }
                }
                Some(Arg::Scalars(out))
            }
            None => None,
        },
        Type::Tensors | Type::Variadic => match sequence(o) {
            Some(items) => {
                let mut out = Vec::with_capacity(items.len());
                for item in &items {
                    match tensor(item) {
                        Some(t) => out.push(t),
                        None => return Ok(None),
                    }
                }
                Some(Arg::Tensors(out))
            }
            None => None,
        },
        Type::OptTensors => match sequence(o) {
            Some(items) => {
                let mut out = Vec::with_capacity(items.len());
                for item in &items {
                    match tensor(item) {
                        Some(t) => out.push(Some(t)),
                        None if item.is_none() => out.push(None),
                        None => return Ok(None),
                    }
                }
                Some(Arg::OptTensors(out))
            }
            None => None,
        },
        Type::DType => dtype(o).map(Arg::DType),
        Type::Device => match device(o) {
            Some(d) => Some(Arg::Device(d?)),
            None => None,
        },
        Type::Layout => o.cast::<PyLayout>().ok().map(|_| Arg::None),
        Type::MemoryFormat => o
            .cast::<PyMemoryFormat>()
            .ok()
            .map(|m| Arg::MemoryFormat(m.get().value)),
        Type::Str => match o.cast::<PyString>() {
            Ok(s) => Some(Arg::Str(s.to_cow()?.into_owned())),
            Err(_) => None,
        },
        Type::Generator => o
            .cast::<PyGenerator>()
            .ok()
            .map(|g| Arg::Generator(g.get().handle.clone())),
    })
}

static SIZE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static NAMED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// `torch.Size` of these ints.
pub fn size<'py>(
    py: Python<'py>,
    sizes: impl ExactSizeIterator<Item = i64>,
) -> PyResult<Bound<'py, PyAny>> {
    let class = SIZE.get_or_try_init(py, || {
        py.import("rtorch._size")?
            .getattr("Size")
            .map(Bound::unbind)
    })?;
    // What `tuple.__new__` does; the class's own constructor, which checks its items, is not needed here.
    // SAFETY: the class is a subclass of tuple without fields of its own; its allocation sets every item to null, and
    // each is set once, to a new reference, while nobody else knows the tuple.
    unsafe {
        let n = sizes.len() as ffi::Py_ssize_t;
        let tuple = ffi::PyType_GenericAlloc(class.as_ptr() as *mut ffi::PyTypeObject, n);
        let tuple = Bound::from_owned_ptr_or_err(py, tuple)?;
        for (i, size) in sizes.enumerate() {
            let item = size.into_pyobject(py)?.into_ptr();
            ffi::PyTuple_SetItem(tuple.as_ptr(), i as ffi::Py_ssize_t, item);
        }
        Ok(tuple)
    }
}

pub fn scalar(py: Python<'_>, s: Scalar) -> PyResult<Py<PyAny>> {
    Ok(match s {
        Scalar::Bool(b) => PyBool::new(py, b).to_owned().into_any().unbind(),
        Scalar::Int(i) => i.into_pyobject(py)?.into_any().unbind(),
        Scalar::UInt(i) => i.into_pyobject(py)?.into_any().unbind(),
        Scalar::Float(f) => PyFloat::new(py, f).into_any().unbind(),
        Scalar::Complex(re, im) => PyComplex::from_doubles(py, re, im).into_any().unbind(),
    })
}

/// A result as a Python object.
pub fn result(py: Python<'_>, v: Value) -> PyResult<Py<PyAny>> {
    let tensors = |v: Vec<Tensor>| {
        v.into_iter()
            .map(|t| wrap(py, t))
            .collect::<PyResult<Vec<_>>>()
    };
    Ok(match v {
        Value::Tensor(t) => wrap(py, t)?,
        Value::None | Value::OptTensor(None) => py.None(),
        Value::OptTensor(Some(t)) => wrap(py, t)?,
        Value::List(v) => PyList::new(py, tensors(v)?)?.into_any().unbind(),
        Value::Tuple(v) => PyTuple::new(py, tensors(v)?)?.into_any().unbind(),
        Value::Named(name, fields, v) => {
            let v = v.into_iter().map(Value::Tensor).collect();
            return result(py, Value::NamedValues(name, fields, v));
        }
        Value::NamedValues(name, fields, v) => {
            let make = NAMED.get_or_try_init(py, || {
                py.import("rtorch.return_types")?
                    .getattr("_make")
                    .map(Bound::unbind)
            })?;
            make.bind(py)
                .call1((name, fields.to_vec(), result(py, Value::Values(v))?))?
                .unbind()
        }
        Value::Values(v) => {
            let items = v
                .into_iter()
                .map(|v| result(py, v))
                .collect::<PyResult<Vec<_>>>()?;
            PyTuple::new(py, items)?.into_any().unbind()
        }
        Value::Bool(b) => PyBool::new(py, b).to_owned().into_any().unbind(),
        Value::Int(i) => i.into_pyobject(py)?.into_any().unbind(),
        Value::Float(f) => PyFloat::new(py, f).into_any().unbind(),
        Value::Scalar(s) => scalar(py, s)?,
        Value::Size(v) => size(py, v.into_iter())?.unbind(),
        Value::Ints(v) => PyTuple::new(py, v)?.into_any().unbind(),
        Value::DType(d) => dtype_object(py, d)?.into_any(),
        Value::Str(s) => PyString::new(py, &s).into_any().unbind(),
    })
}

/// Calls back into Python from the core.
pub fn callback<T>(f: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T> {
    Python::attach(|py| f(py).map_err(from_py))
}

/// How messages name an argument's type.
pub fn type_name(o: &Bound<'_, PyAny>) -> String {
    o.get_type()
        .name()
        .map(|n| n.to_string())
        .unwrap_or_else(|_| "object".into())
}
