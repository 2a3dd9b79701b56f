//! Operators, properties and protocols of the Python type.

use super::bind;
use super::convert;
use super::error::{Object, guard, to_py, token};
use super::index;
use super::object::{is_tensor, peek, replace, tensor_of, wrap, wrap_raw};
use super::types::{PyDevice, dtype_object};
use crate::error::Result;
use crate::ops::OpDef;
use crate::tensor::Tensor;
use pyo3::exceptions::{
    PyAttributeError, PyRuntimeError, PyTypeError, PyUserWarning, PyValueError,
};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use smallvec::SmallVec;
use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

const NOT_A_LEAF: &CStr = c"The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad \
attribute won't be populated during autograd.backward(). Call .retain_grad() on it before backward to keep its gradient, \
or read the .grad of the leaf Tensor that was meant.";

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

unsafe extern "C" fn op<const I: usize>(a: Object, b: Object) -> Object {
    // SAFETY: as `binary`.
    unsafe { binary(I, a, b, false) }
}
unsafe extern "C" fn op_in_place<const I: usize>(a: Object, b: Object) -> Object {
    // SAFETY: as `binary`.
    unsafe { binary(I, a, b, true) }
}
unsafe extern "C" fn power(a: Object, b: Object, modulus: Object) -> Object {
    // SAFETY: as `binary`; a third argument is not supported.
    unsafe {
        if modulus == ffi::Py_None() {
            binary(6, a, b, false)
        } else {
            not_implemented()
        }
    }
}
unsafe extern "C" fn power_in_place(a: Object, b: Object, modulus: Object) -> Object {
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
unsafe fn unary(o: Object, f: impl FnOnce(Python<'_>, &Tensor) -> PyResult<Object>) -> Object {
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

unsafe extern "C" fn negative(o: Object) -> Object {
    // SAFETY: as `unary`.
    unsafe { row(o, "neg") }
}
unsafe extern "C" fn positive(o: Object) -> Object {
    // SAFETY: as `unary`.
    unsafe { row(o, "positive") }
}
unsafe extern "C" fn absolute(o: Object) -> Object {
    // SAFETY: as `unary`.
    unsafe { row(o, "abs") }
}
unsafe extern "C" fn invert(o: Object) -> Object {
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

unsafe extern "C" fn richcompare(a: Object, b: Object, how: c_int) -> Object {
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

type Get = fn(Python<'_>, &Tensor) -> PyResult<Py<PyAny>>;
type Set = fn(Python<'_>, Object, Option<&Bound<'_, PyAny>>) -> PyResult<()>;

struct Property {
    name: &'static CStr,
    get: Get,
    set: Option<Set>,
    doc: &'static CStr,
}

fn tensor_value(py: Python<'_>, t: Result<Tensor>) -> PyResult<Py<PyAny>> {
    wrap(py, t.map_err(|e| to_py(py, e))?)
}

fn to_any<'py, T: pyo3::IntoPyObjectExt<'py>>(py: Python<'py>, v: T) -> PyResult<Py<PyAny>> {
    v.into_py_any(py)
}

fn reversed(t: &Tensor) -> Result<Tensor> {
    let dims: SmallVec<[i64; 6]> = (0..t.ndim() as i64).rev().collect();
    t.permute(&dims)
}

fn matrix_transposed(t: &Tensor, name: &str) -> Result<Tensor> {
    if t.ndim() == 0 {
        return Ok(t.clone());
    }
    crate::check!(
        t.ndim() >= 2,
        Runtime,
        "tensor.{name} is only supported on matrices or batches of matrices. Got {}-D tensor.",
        t.ndim()
    );
    t.transpose(-2, -1)
}

fn set_data(py: Python<'_>, o: Object, v: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let Some(v) = v else {
        return Err(PyRuntimeError::new_err(
            "Deleting tensor data is not allowed. Delete tensor instead!",
        ));
    };
    let with = tensor_of(v)?;
    // SAFETY: the interpreter calls setters on instances of the type.
    unsafe {
        if let Some(t) = peek(o) {
            if t.requires_grad() && !with.dtype().is_differentiable() {
                return Err(PyRuntimeError::new_err(
                    "data set to a tensor that requires gradients must be floating point or complex dtype",
                ));
            }
            let _ = py;
            let new = t.replaced(&with);
            replace(o, new);
        }
    }
    Ok(())
}

fn set_grad(py: Python<'_>, o: Object, v: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    // SAFETY: the interpreter calls setters on instances of the type.
    let Some(t) = (unsafe { peek(o) }) else {
        return Ok(());
    };
    let Some(v) = v.filter(|v| !v.is_none()) else {
        t.set_grad(None);
        return Ok(());
    };
    let g = tensor_of(v).map_err(|_| {
        PyTypeError::new_err(format!(
            "assigned grad expected to be a Tensor or None but got grad of type '{}'",
            convert::type_name(v)
        ))
    })?;
    let _ = py;
    let message = if g.same(t) {
        Some("can't assign Variable as its own grad".to_string())
    } else if g.sizes() != t.sizes() {
        Some(format!(
            "assigned grad has data of a different size: got {} but expected {}",
            crate::shape::list(g.sizes()),
            crate::shape::list(t.sizes())
        ))
    } else if g.dtype() != t.dtype() {
        Some(format!(
            "attempting to assign a gradient with dtype '{}' to a tensor with grad_dtype '{}'",
            g.dtype().name(),
            t.dtype().name()
        ))
    } else if g.device() != t.device() {
        Some(format!(
            "assigned grad has data located on a different device: {} and {}",
            g.device(),
            t.device()
        ))
    } else {
        None
    };
    match message {
        Some(m) => Err(PyRuntimeError::new_err(m)),
        None => {
            t.set_grad(Some(g));
            Ok(())
        }
    }
}

fn set_requires_grad(py: Python<'_>, o: Object, v: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    // SAFETY: the interpreter calls setters on instances of the type.
    let Some(t) = (unsafe { peek(o) }) else {
        return Ok(());
    };
    let Some(Ok(on)) = v.map(|v| v.extract::<bool>()) else {
        return Err(PyRuntimeError::new_err("requires_grad must be a bool"));
    };
    t.set_requires_grad(on).map_err(|e| to_py(py, e))
}

fn set_part(
    py: Python<'_>,
    o: Object,
    v: Option<&Bound<'_, PyAny>>,
    part: fn(&Tensor) -> Result<Tensor>,
) -> PyResult<()> {
    // SAFETY: the interpreter calls setters on instances of the type.
    let (Some(t), Some(v)) = (unsafe { peek(o) }, v) else {
        return Ok(());
    };
    let value = match convert::number(v)? {
        Some(s) => Tensor::wrapped(s),
        None => Ok(tensor_of(v)?),
    };
    part(t)
        .and_then(|p| p.copy_(&value?))
        .map(|_| ())
        .map_err(|e| to_py(py, e))
}

fn conj_transposed(t: &Tensor) -> Result<Tensor> {
    crate::check!(
        t.ndim() == 2 || t.ndim() == 0,
        Runtime,
        "tensor.H is only supported on matrices (2-D tensors). Got {}-D tensor.{}",
        t.ndim(),
        if t.ndim() > 2 {
            " For batches of matrices, consider using tensor.mH"
        } else {
            ""
        }
    );
    if t.ndim() == 0 {
        t.conj()
    } else {
        t.transpose(0, 1)?.conj()
    }
}

static PROPERTIES: &[Property] = &[
    Property {
        name: c"shape",
        get: |py, t| convert::size(py, t.sizes().iter().map(|&n| n as i64)).map(Bound::unbind),
        set: None,
        doc: c"The sizes, as a torch.Size.",
    },
    Property {
        name: c"dtype",
        get: |py, t| dtype_object(py, t.dtype()).map(Py::into_any),
        set: None,
        doc: c"The element type.",
    },
    Property {
        name: c"device",
        get: |py, t| Ok(Py::new(py, PyDevice::of(t.device()))?.into_any()),
        set: None,
        doc: c"Where the tensor lives.",
    },
    Property {
        name: c"layout",
        get: |py, _| {
            py.import("rtorch._C")?
                .getattr("strided")
                .map(Bound::unbind)
        },
        set: None,
        doc: c"Always torch.strided.",
    },
    Property {
        name: c"ndim",
        get: |py, t| to_any(py, t.ndim()),
        set: None,
        doc: c"The number of dimensions.",
    },
    Property {
        name: c"itemsize",
        get: |py, t| to_any(py, t.dtype().size()),
        set: None,
        doc: c"Bytes per element.",
    },
    Property {
        name: c"nbytes",
        get: |py, t| to_any(py, t.numel() * t.dtype().size()),
        set: None,
        doc: c"Bytes of all elements.",
    },
    Property {
        name: c"requires_grad",
        get: |py, t| to_any(py, t.requires_grad()),
        set: Some(set_requires_grad),
        doc: c"Whether gradients flow to this tensor.",
    },
    Property {
        name: c"is_leaf",
        get: |py, t| to_any(py, t.is_leaf()),
        set: None,
        doc: c"Whether the tensor was made by the user rather than by a recorded op.",
    },
    Property {
        name: c"retains_grad",
        get: |py, t| to_any(py, t.retains_grad()),
        set: None,
        doc: c"Whether a tensor that is not a leaf keeps its gradient.",
    },
    Property {
        name: c"grad",
        get: |py, t| match t.grad() {
            Some(g) => wrap(py, g),
            None => {
                if !t.is_leaf() && !t.retains_grad() {
                    PyErr::warn(py, &py.get_type::<PyUserWarning>(), NOT_A_LEAF, 1)?;
                }
                Ok(py.None())
            }
        },
        set: Some(set_grad),
        doc: c"The accumulated gradient, or None.",
    },
    Property {
        name: c"_grad",
        get: |py, t| match t.grad() {
            Some(g) => wrap(py, g),
            None => Ok(py.None()),
        },
        set: Some(set_grad),
        doc: c"The accumulated gradient, or None.",
    },
    Property {
        name: c"grad_fn",
        get: super::autograd::grad_fn,
        set: None,
        doc: c"The node that made this tensor, or None.",
    },
    Property {
        name: c"data",
        get: |py, t| wrap(py, t.data_alias()),
        set: Some(set_data),
        doc: c"The values without history; assigning replaces them.",
    },
    Property {
        name: c"_version",
        get: |py, t| to_any(py, t.version()),
        set: None,
        doc: c"Counts writes.",
    },
    Property {
        name: c"_base",
        get: |py, t| match t.view_of() {
            Some(v) => wrap(py, v.base.clone()),
            None => Ok(py.None()),
        },
        set: None,
        doc: c"The tensor this one is a view of, or None.",
    },
    Property {
        name: c"T",
        get: |py, t| tensor_value(py, reversed(t)),
        set: None,
        doc: c"A view with the axes reversed.",
    },
    Property {
        name: c"mT",
        get: |py, t| tensor_value(py, matrix_transposed(t, "mT")),
        set: None,
        doc: c"A view with the last two axes swapped.",
    },
    Property {
        name: c"H",
        get: |py, t| tensor_value(py, conj_transposed(t)),
        set: None,
        doc: c"The conjugate transpose of a matrix.",
    },
    Property {
        name: c"mH",
        get: |py, t| tensor_value(py, matrix_transposed(t, "mH").and_then(|t| t.conj())),
        set: None,
        doc: c"The conjugate transpose of the last two axes.",
    },
    Property {
        name: c"real",
        get: |py, t| tensor_value(py, t.real()),
        set: Some(|py, o, v| set_part(py, o, v, Tensor::real)),
        doc: c"The real part.",
    },
    Property {
        name: c"imag",
        get: |py, t| tensor_value(py, t.imag()),
        set: Some(|py, o, v| set_part(py, o, v, Tensor::imag)),
        doc: c"The imaginary part.",
    },
    Property {
        name: c"is_cpu",
        get: |py, t| to_any(py, t.device().is_cpu()),
        set: None,
        doc: c"Whether the tensor lives on the CPU.",
    },
    Property {
        name: c"is_cuda",
        get: |py, _| to_any(py, false),
        set: None,
        doc: c"Always False.",
    },
    Property {
        name: c"is_gpu",
        get: |py, t| to_any(py, !t.device().is_cpu()),
        set: None,
        doc: c"Whether the tensor lives on a GPU.",
    },
    Property {
        name: c"is_mps",
        get: |py, _| to_any(py, false),
        set: None,
        doc: c"Always False.",
    },
    Property {
        name: c"is_meta",
        get: |py, _| to_any(py, false),
        set: None,
        doc: c"Always False.",
    },
    Property {
        name: c"is_sparse",
        get: |py, _| to_any(py, false),
        set: None,
        doc: c"Always False.",
    },
    Property {
        name: c"is_quantized",
        get: |py, _| to_any(py, false),
        set: None,
        doc: c"Always False.",
    },
    Property {
        name: c"is_nested",
        get: |py, _| to_any(py, false),
        set: None,
        doc: c"Always False.",
    },
    Property {
        name: c"is_mkldnn",
        get: |py, _| to_any(py, false),
        set: None,
        doc: c"Always False.",
    },
    Property {
        name: c"output_nr",
        get: |py, t| to_any(py, t.grad_fn().map_or(0, |g| g.1)),
        set: None,
        doc: c"Which output of its node the tensor is.",
    },
    Property {
        name: c"names",
        get: |py, t| to_any(py, PyTuple::new(py, (0..t.ndim()).map(|_| py.None()))?),
        set: None,
        doc: c"Names of dimensions: None for each.",
    },
];

unsafe extern "C" fn getter(o: Object, closure: *mut c_void) -> Object {
    // SAFETY: the closure is a Property of the static table.
    unsafe {
        let p = &*(closure as *const Property);
        unary(o, |py, t| (p.get)(py, t).map(Py::into_ptr))
    }
}

unsafe extern "C" fn setter(o: Object, value: Object, closure: *mut c_void) -> c_int {
    // SAFETY: as `getter`.
    unsafe {
        let p = &*(closure as *const Property);
        let py = token();
        guard(py, -1, || {
            let Some(set) = p.set else {
                return Err(PyAttributeError::new_err("read-only attribute"));
            };
            if value.is_null() {
                set(py, o, None)?;
            } else {
                set(py, o, Some(&Bound::from_borrowed_ptr(py, value)))?;
            }
            Ok(0)
        })
    }
}

pub fn getset() -> Vec<ffi::PyGetSetDef> {
    PROPERTIES
        .iter()
        .map(|p| ffi::PyGetSetDef {
            name: p.name.as_ptr(),
            get: Some(getter),
            set: p
                .set
                .map(|_| setter as unsafe extern "C" fn(Object, Object, *mut c_void) -> c_int),
            doc: p.doc.as_ptr(),
            closure: p as *const Property as *mut c_void,
        })
        .collect()
}
