//! Properties of the Python type.

use super::convert;
use super::error::{Object, guard, to_py, token};
use super::object::{peek, replace, tensor_of, wrap};
use super::operators::unary;
use super::types::{PyDevice, dtype_object};
use crate::error::Result;
use crate::tensor::Tensor;
use pyo3::exceptions::{PyAttributeError, PyRuntimeError, PyTypeError, PyUserWarning};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use smallvec::SmallVec;
use std::ffi::{CStr, c_int, c_void};

const NOT_A_LEAF: &CStr = c"The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad \
attribute won't be populated during autograd.backward(). Call .retain_grad() on it before backward to keep its gradient, \
or read the .grad of the leaf Tensor that was meant.";

type Get = fn(Python<'_>, &Tensor) -> PyResult<Py<PyAny>>;

type Set = fn(Python<'_>, Object, Option<&Bound<'_, PyAny>>) -> PyResult<()>;

struct Property {
    name: &'static CStr,
    get: Get,
    set: Option<Set>,
    doc: &'static CStr,
}

/// A property that cannot be assigned.
const fn fact(name: &'static CStr, get: Get, doc: &'static CStr) -> Property {
    Property {
        name,
        get,
        set: None,
        doc,
    }
}

fn grad(py: Python<'_>, t: &Tensor) -> PyResult<Py<PyAny>> {
    match t.grad() {
        Some(g) => wrap(py, g),
        None => Ok(py.None()),
    }
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
    fact(
        c"shape",
        |py, t| convert::size(py, t.sizes().iter().map(|&n| n as i64)).map(Bound::unbind),
        c"The sizes, as a torch.Size.",
    ),
    fact(
        c"dtype",
        |py, t| dtype_object(py, t.dtype()).map(Py::into_any),
        c"The element type.",
    ),
    fact(
        c"device",
        |py, t| Ok(Py::new(py, PyDevice::of(t.device()))?.into_any()),
        c"Where the tensor lives.",
    ),
    fact(
        c"layout",
        |py, _| {
            py.import("rtorch._C")?
                .getattr("strided")
                .map(Bound::unbind)
        },
        c"Always torch.strided.",
    ),
    fact(
        c"ndim",
        |py, t| to_any(py, t.ndim()),
        c"The number of dimensions.",
    ),
    fact(
        c"itemsize",
        |py, t| to_any(py, t.dtype().size()),
        c"Bytes per element.",
    ),
    fact(
        c"nbytes",
        |py, t| to_any(py, t.numel() * t.dtype().size()),
        c"Bytes of all elements.",
    ),
    Property {
        name: c"requires_grad",
        get: |py, t| to_any(py, t.requires_grad()),
        set: Some(set_requires_grad),
        doc: c"Whether gradients flow to this tensor.",
    },
    fact(
        c"is_leaf",
        |py, t| to_any(py, t.is_leaf()),
        c"Whether the tensor was made by the user rather than by a recorded op.",
    ),
    fact(
        c"retains_grad",
        |py, t| to_any(py, t.retains_grad()),
        c"Whether a tensor that is not a leaf keeps its gradient.",
    ),
    Property {
        name: c"grad",
        get: |py, t| {
            if t.grad().is_none() && !t.is_leaf() && !t.retains_grad() {
                PyErr::warn(py, &py.get_type::<PyUserWarning>(), NOT_A_LEAF, 1)?;
            }
            grad(py, t)
        },
        set: Some(set_grad),
        doc: c"The accumulated gradient, or None.",
    },
    Property {
        name: c"_grad",
        get: grad,
        set: Some(set_grad),
        doc: c"The accumulated gradient, or None.",
    },
    fact(
        c"grad_fn",
        super::autograd::grad_fn,
        c"The node that made this tensor, or None.",
    ),
    Property {
        name: c"data",
        get: |py, t| wrap(py, t.data_alias()),
        set: Some(set_data),
        doc: c"The values without history; assigning replaces them.",
    },
    fact(
        c"_version",
        |py, t| to_any(py, t.version()),
        c"Counts writes.",
    ),
    fact(
        c"_base",
        |py, t| match t.view_of() {
            Some(v) => wrap(py, v.base.clone()),
            None => Ok(py.None()),
        },
        c"The tensor this one is a view of, or None.",
    ),
    fact(
        c"T",
        |py, t| tensor_value(py, reversed(t)),
        c"A view with the axes reversed.",
    ),
    fact(
        c"mT",
        |py, t| tensor_value(py, matrix_transposed(t, "mT")),
        c"A view with the last two axes swapped.",
    ),
    fact(
        c"H",
        |py, t| tensor_value(py, conj_transposed(t)),
        c"The conjugate transpose of a matrix.",
    ),
    fact(
        c"mH",
        |py, t| tensor_value(py, matrix_transposed(t, "mH").and_then(|t| t.conj())),
        c"The conjugate transpose of the last two axes.",
    ),
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
    fact(
        c"is_cpu",
        |py, t| to_any(py, t.device().is_cpu()),
        c"Whether the tensor lives on the CPU.",
    ),
    fact(c"is_cuda", |py, _| to_any(py, false), c"Always False."),
    fact(
        c"is_gpu",
        |py, t| to_any(py, !t.device().is_cpu()),
        c"Whether the tensor lives on a GPU.",
    ),
    fact(c"is_mps", |py, _| to_any(py, false), c"Always False."),
    fact(c"is_meta", |py, _| to_any(py, false), c"Always False."),
    fact(c"is_sparse", |py, _| to_any(py, false), c"Always False."),
    fact(c"is_quantized", |py, _| to_any(py, false), c"Always False."),
    fact(c"is_nested", |py, _| to_any(py, false), c"Always False."),
    fact(c"is_mkldnn", |py, _| to_any(py, false), c"Always False."),
    fact(
        c"output_nr",
        |py, t| to_any(py, t.grad_fn().map_or(0, |g| g.1)),
        c"Which output of its node the tensor is.",
    ),
    fact(
        c"names",
        |py, t| to_any(py, PyTuple::new(py, (0..t.ndim()).map(|_| py.None()))?),
        c"Names of dimensions: None for each.",
    ),
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
