//! Protocols of the Python type, and the table of its slots.

use super::error::{Object, guard, to_py, token};
use super::index;
use super::object::{peek, wrap, wrap_raw};
use super::operators::{
    absolute, invert, negative, op, op_in_place, positive, power, power_in_place, richcompare,
    unary,
};
use crate::tensor::Tensor;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::ffi::{CStr, c_int, c_void};
use std::ptr;

unsafe extern "C" fn hash(o: Object) -> ffi::Py_hash_t {
    ((o as usize >> 4) & (isize::MAX as usize)) as ffi::Py_hash_t
}

unsafe extern "C" fn length(o: Object) -> ffi::Py_ssize_t {
    // SAFETY: as `unary`.
    unsafe {
        let py = token();
        guard(py, -1, || match peek(o) {
            Some(t) if t.ndim() == 0 => Err(PyTypeError::new_err("len() of a 0-d tensor")),
            Some(t) => Ok(t.sizes()[0] as ffi::Py_ssize_t),
            None => Ok(0),
        })
    }
}

unsafe extern "C" fn truth(o: Object) -> c_int {
    // SAFETY: as `unary`.
    unsafe {
        let py = token();
        guard(py, -1, || {
            let Some(t) = peek(o) else { return Ok(0) };
            if t.numel() != 1 {
                return Err(PyRuntimeError::new_err(if t.numel() == 0 {
                    "Boolean value of Tensor with no values is ambiguous"
                } else {
                    "Boolean value of Tensor with more than one value is ambiguous"
                }));
            }
            Ok(t.item().map_err(|e| to_py(py, e))?.to_bool() as c_int)
        })
    }
}

fn single(py: Python<'_>, t: &Tensor) -> PyResult<crate::scalar::Scalar> {
    if t.numel() != 1 {
        return Err(PyValueError::new_err(
            "only one element tensors can be converted to Python scalars",
        ));
    }
    t.item().map_err(|e| to_py(py, e))
}

unsafe extern "C" fn float(o: Object) -> Object {
    // SAFETY: as `unary`.
    unsafe {
        unary(o, |py, t| {
            let s = single(py, t)?;
            if let crate::scalar::Scalar::Complex(_, im) = s
                && im != 0.0
            {
                return Err(PyRuntimeError::new_err(
                    "value cannot be converted to type double without overflow",
                ));
            }
            Ok(ffi::PyFloat_FromDouble(s.to_f64()))
        })
    }
}

unsafe extern "C" fn int(o: Object) -> Object {
    // SAFETY: as `unary`.
    unsafe {
        unary(o, |py, t| {
            let s = single(py, t)?;
            Ok(match s {
                crate::scalar::Scalar::Float(f) => {
                    let o = ffi::PyLong_FromDouble(f);
                    if o.is_null() {
                        return Err(PyErr::fetch(py));
                    }
                    o
                }
                crate::scalar::Scalar::Complex(_, im) if im != 0.0 => {
                    return Err(PyRuntimeError::new_err(
                        "value cannot be converted to type int64_t without overflow",
                    ));
                }
                crate::scalar::Scalar::UInt(u) => ffi::PyLong_FromUnsignedLongLong(u),
                s => ffi::PyLong_FromLongLong(s.to_i64()),
            })
        })
    }
}

unsafe extern "C" fn as_index(o: Object) -> Object {
    // SAFETY: as `unary`.
    unsafe {
        unary(o, |py, t| {
            if !t.dtype().is_integral() || t.numel() != 1 {
                return Err(PyTypeError::new_err(
                    "only integer tensors of a single element can be converted to an index",
                ));
            }
            Ok(ffi::PyLong_FromLongLong(
                t.item().map_err(|e| to_py(py, e))?.to_i64(),
            ))
        })
    }
}

unsafe extern "C" fn subscript(o: Object, key: Object) -> Object {
    // SAFETY: as `unary`.
    unsafe {
        unary(o, |py, t| {
            let key = Bound::from_borrowed_ptr(py, key);
            Ok(wrap_raw(index::get(py, t, &key)?))
        })
    }
}

unsafe extern "C" fn assign(o: Object, key: Object, value: Object) -> c_int {
    // SAFETY: as `unary`.
    unsafe {
        let py = token();
        guard(py, -1, || {
            let Some(t) = peek(o) else { return Ok(-1) };
            if value.is_null() {
                return Err(PyTypeError::new_err(
                    "Tensor does not support deleting items",
                ));
            }
            index::set(
                py,
                t,
                &Bound::from_borrowed_ptr(py, key),
                &Bound::from_borrowed_ptr(py, value),
            )?;
            Ok(0)
        })
    }
}

unsafe extern "C" fn iterate(o: Object) -> Object {
    // SAFETY: as `unary`.
    unsafe {
        unary(o, |py, t| {
            if t.ndim() == 0 {
                return Err(PyTypeError::new_err("iteration over a 0-d tensor"));
            }
            let items = crate::ops::join::unbind(t, 0).map_err(|e| to_py(py, e))?;
            let list = items
                .into_iter()
                .map(|t| wrap(py, t))
                .collect::<PyResult<Vec<_>>>()?;
            Ok(PyTuple::new(py, list)?.try_iter()?.into_ptr())
        })
    }
}

/// Methods that Python defines: found on the type at call time.
unsafe fn python_method(o: Object, name: &CStr) -> Object {
    // SAFETY: as `unary`.
    unsafe {
        let py = token();
        guard(py, ptr::null_mut(), || {
            let this: Bound<'_, PyAny> = Bound::from_borrowed_ptr(py, o);
            let name = name.to_str().unwrap_or("");
            Ok(py
                .import("rtorch._tensor")?
                .getattr(name)?
                .call1((this,))?
                .into_ptr())
        })
    }
}

unsafe extern "C" fn repr(o: Object) -> Object {
    // SAFETY: as `unary`.
    unsafe { python_method(o, c"_repr") }
}

unsafe extern "C" fn contains(o: Object, item: Object) -> c_int {
    // SAFETY: as `unary`.
    unsafe {
        let py = token();
        guard(py, -1, || {
            let this: Bound<'_, PyAny> = Bound::from_borrowed_ptr(py, o);
            let item: Bound<'_, PyAny> = Bound::from_borrowed_ptr(py, item);
            let r = py
                .import("rtorch._tensor")?
                .getattr("_contains")?
                .call1((this, item))?;
            Ok(r.is_truthy()? as c_int)
        })
    }
}

pub fn slots() -> Vec<ffi::PyType_Slot> {
    let s = |slot: c_int, pfunc: *mut c_void| ffi::PyType_Slot { slot, pfunc };
    vec![
        s(ffi::Py_nb_add, op::<0> as *mut c_void),
        s(ffi::Py_nb_subtract, op::<1> as *mut c_void),
        s(ffi::Py_nb_multiply, op::<2> as *mut c_void),
        s(ffi::Py_nb_true_divide, op::<3> as *mut c_void),
        s(ffi::Py_nb_floor_divide, op::<4> as *mut c_void),
        s(ffi::Py_nb_remainder, op::<5> as *mut c_void),
        s(ffi::Py_nb_power, power as *mut c_void),
        s(ffi::Py_nb_matrix_multiply, op::<7> as *mut c_void),
        s(ffi::Py_nb_and, op::<8> as *mut c_void),
        s(ffi::Py_nb_or, op::<9> as *mut c_void),
        s(ffi::Py_nb_xor, op::<10> as *mut c_void),
        s(ffi::Py_nb_lshift, op::<11> as *mut c_void),
        s(ffi::Py_nb_rshift, op::<12> as *mut c_void),
        s(ffi::Py_nb_inplace_add, op_in_place::<0> as *mut c_void),
        s(ffi::Py_nb_inplace_subtract, op_in_place::<1> as *mut c_void),
        s(ffi::Py_nb_inplace_multiply, op_in_place::<2> as *mut c_void),
        s(
            ffi::Py_nb_inplace_true_divide,
            op_in_place::<3> as *mut c_void,
        ),
        s(
            ffi::Py_nb_inplace_floor_divide,
            op_in_place::<4> as *mut c_void,
        ),
        s(
            ffi::Py_nb_inplace_remainder,
            op_in_place::<5> as *mut c_void,
        ),
        s(ffi::Py_nb_inplace_power, power_in_place as *mut c_void),
        s(ffi::Py_nb_inplace_and, op_in_place::<8> as *mut c_void),
        s(ffi::Py_nb_inplace_or, op_in_place::<9> as *mut c_void),
        s(ffi::Py_nb_inplace_xor, op_in_place::<10> as *mut c_void),
        s(ffi::Py_nb_inplace_lshift, op_in_place::<11> as *mut c_void),
        s(ffi::Py_nb_inplace_rshift, op_in_place::<12> as *mut c_void),
        s(ffi::Py_nb_negative, negative as *mut c_void),
        s(ffi::Py_nb_positive, positive as *mut c_void),
        s(ffi::Py_nb_absolute, absolute as *mut c_void),
        s(ffi::Py_nb_invert, invert as *mut c_void),
        s(ffi::Py_nb_bool, truth as *mut c_void),
        s(ffi::Py_nb_float, float as *mut c_void),
        s(ffi::Py_nb_int, int as *mut c_void),
        s(ffi::Py_nb_index, as_index as *mut c_void),
        s(ffi::Py_tp_richcompare, richcompare as *mut c_void),
        s(ffi::Py_tp_hash, hash as *mut c_void),
        s(ffi::Py_tp_iter, iterate as *mut c_void),
        s(ffi::Py_tp_repr, repr as *mut c_void),
        s(ffi::Py_mp_length, length as *mut c_void),
        s(ffi::Py_sq_length, length as *mut c_void),
        s(ffi::Py_mp_subscript, subscript as *mut c_void),
        s(ffi::Py_mp_ass_subscript, assign as *mut c_void),
        s(ffi::Py_sq_contains, contains as *mut c_void),
        s(ffi::Py_bf_getbuffer, super::data::get_buffer as *mut c_void),
        s(
            ffi::Py_bf_releasebuffer,
            super::data::release_buffer as *mut c_void,
        ),
    ]
}
