//! Operators of the Python type: each is a row of the table.

use super::bind;
use super::convert;
use super::error::{Object, guard, to_py, token};
use super::object::{is_tensor, peek, wrap_raw};
use crate::ops::OpDef;
use crate::tensor::Tensor;
use pyo3::exceptions::{PyAttributeError, PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::c_int;
use std::ptr;
use std::sync::OnceLock;

/// The rows behind the operators.
const OPERATORS: [&str; 14] = [
    "add",
    "sub",
    "mul",
    "true_divide",
    "floor_divide",
    "remainder",
    "pow",
    "matmul",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "bitwise_left_shift",
    "bitwise_right_shift",
    "neg",
];

const COMPARISONS: [&str; 6] = ["lt", "le", "eq", "ne", "gt", "ge"];

fn operator(i: usize) -> Option<&'static OpDef> {
    static ROWS: OnceLock<Vec<Option<&'static OpDef>>> = OnceLock::new();
    ROWS.get_or_init(|| OPERATORS.iter().map(|n| bind::find(n)).collect())
        .get(i)
        .copied()
        .flatten()
}

fn comparison(i: usize) -> Option<&'static OpDef> {
    static ROWS: OnceLock<Vec<Option<&'static OpDef>>> = OnceLock::new();
    ROWS.get_or_init(|| COMPARISONS.iter().map(|n| bind::find(n)).collect())
        .get(i)
        .copied()
        .flatten()
}

fn not_implemented() -> Object {
    // SAFETY: a new reference to an immortal singleton.
    unsafe {
        let o = ffi::Py_NotImplemented();
        ffi::Py_INCREF(o);
        o
    }
}

/// An operand: a tensor or a number; anything else lets Python ask the other side.
enum Operand<'a> {
    Tensor(&'a Tensor),
    Number(Tensor),
}

impl Operand<'_> {
    fn get(&self) -> &Tensor {
        match self {
            Operand::Tensor(t) => t,
            Operand::Number(t) => t,
        }
    }
}

unsafe fn operand<'a>(py: Python<'_>, o: Object) -> PyResult<Option<Operand<'a>>> {
    // SAFETY: a live object under the GIL.
    unsafe {
        if is_tensor(o) {
            return Ok(peek(o).map(Operand::Tensor));
        }
        let b: &Bound<'_, PyAny> = Bound::ref_from_ptr(py, &o);
        match convert::number(b)? {
            Some(s) => Ok(Some(Operand::Number(
                Tensor::wrapped(s).map_err(|e| to_py(py, e))?,
            ))),
            None => Ok(None),
        }
    }
}

/// Whether a subclass or foreign class takes the operator over.
unsafe fn foreign(py: Python<'_>, o: Object) -> bool {
    // SAFETY: a live object under the GIL.
    unsafe {
        let t = ffi::Py_TYPE(o);
        t != super::object::tensor_type() && super::autograd::overrides_torch_function(py, t)
    }
}

unsafe fn binary(i: usize, a: Object, b: Object, in_place: bool) -> Object {
    // SAFETY: called by the interpreter with live objects.
    unsafe {
        let py = token();
        guard(py, ptr::null_mut(), || {
            if foreign(py, a) || foreign(py, b) {
                return super::autograd::operator_override(py, OPERATORS[i], a, b, in_place);
            }
            let (Some(x), Some(y)) = (operand(py, a)?, operand(py, b)?) else {
                return Ok(not_implemented());
            };
            let Some(op) = operator(i) else {
                return Ok(not_implemented());
            };
            // A product takes no numbers.
            let number = matches!(x, Operand::Number(_)) || matches!(y, Operand::Number(_));
            if number && OPERATORS[i] == "matmul" {
                return Ok(not_implemented());
            }
            let ins = [x.get(), y.get()];
            let r = if in_place {
                bind::call_row_in_place(op, &ins)
            } else {
                bind::call_row(op, &ins)
            };
            let r = r.map_err(|e| to_py(py, e))?;
            // `1 - x` is `rsub` in PyTorch's graphs.
            let reflected = OPERATORS[i] == "sub" && matches!(x, Operand::Number(_));
            Ok(wrap_raw(if reflected {
                r.named("RsubBackward1")
            } else {
                r
            }))
        })
    }
}

pub(super) unsafe extern "C" fn op<const I: usize>(a: Object, b: Object) -> Object {
    // SAFETY: as `binary`.
    unsafe { binary(I, a, b, false) }
}

pub(super) unsafe extern "C" fn op_in_place<const I: usize>(a: Object, b: Object) -> Object {
    // SAFETY: as `binary`.
    unsafe { binary(I, a, b, true) }
}

pub(super) unsafe extern "C" fn power(a: Object, b: Object, modulus: Object) -> Object {
    // SAFETY: as `binary`; a third argument is not supported.
    unsafe {
        if modulus == ffi::Py_None() {
            binary(6, a, b, false)
        } else {
            not_implemented()
        }
    }
}

pub(super) unsafe extern "C" fn power_in_place(a: Object, b: Object, modulus: Object) -> Object {
    // SAFETY: as `power`.
    unsafe {
        if modulus == ffi::Py_None() {
            binary(6, a, b, true)
        } else {
            not_implemented()
        }
    }
}

/// Runs a function of the tensor in a slot.
pub(super) unsafe fn unary(
    o: Object,
    f: impl FnOnce(Python<'_>, &Tensor) -> PyResult<Object>,
) -> Object {
    // SAFETY: the interpreter calls slots on instances of the type.
    unsafe {
        let py = token();
        guard(py, ptr::null_mut(), || match peek(o) {
            Some(t) => f(py, t),
            None => Err(PyRuntimeError::new_err(
                "the tensor was not initialised; call super().__new__",
            )),
        })
    }
}

unsafe fn row(o: Object, name: &'static str) -> Object {
    // SAFETY: as `unary`.
    unsafe {
        unary(o, |py, t| match bind::find(name) {
            Some(op) => bind::call_row(op, &[t])
                .map(wrap_raw)
                .map_err(|e| to_py(py, e)),
            None => Err(PyAttributeError::new_err(name)),
        })
    }
}

pub(super) unsafe extern "C" fn negative(o: Object) -> Object {
    // SAFETY: as `unary`.
    unsafe { row(o, "neg") }
}

pub(super) unsafe extern "C" fn positive(o: Object) -> Object {
    // SAFETY: as `unary`.
    unsafe { row(o, "positive") }
}

pub(super) unsafe extern "C" fn absolute(o: Object) -> Object {
    // SAFETY: as `unary`.
    unsafe { row(o, "abs") }
}

pub(super) unsafe extern "C" fn invert(o: Object) -> Object {
    // SAFETY: as `unary`.
    unsafe {
        if peek(o).is_some_and(|t| !t.dtype().is_integral()) {
            let py = token();
            return guard(py, ptr::null_mut(), || {
                Err(PyTypeError::new_err(
                    "~ (operator.invert) is only implemented on integer and Boolean-type tensors",
                ))
            });
        }
        row(o, "bitwise_not")
    }
}

pub(super) unsafe extern "C" fn richcompare(a: Object, b: Object, how: c_int) -> Object {
    // SAFETY: called by the interpreter with live objects.
    unsafe {
        let py = token();
        guard(py, ptr::null_mut(), || {
            let name = COMPARISONS.get(how as usize).copied().unwrap_or("eq");
            if foreign(py, a) || foreign(py, b) {
                return super::autograd::operator_override(py, name, a, b, false);
            }
            let (Some(x), Some(y)) = (operand(py, a)?, operand(py, b)?) else {
                return Ok(not_implemented());
            };
            let Some(op) = comparison(how as usize) else {
                return Ok(not_implemented());
            };
            Ok(wrap_raw(
                bind::call_row(op, &[x.get(), y.get()]).map_err(|e| to_py(py, e))?,
            ))
        })
    }
}
