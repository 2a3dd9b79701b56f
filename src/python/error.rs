//! Errors of the core as Python exceptions, and the boundary that no panic crosses.

use crate::error::{Error, Kind};
use pyo3::exceptions::*;
use pyo3::ffi;
use pyo3::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

/// An exception class that lives in a Python module.
fn class(py: Python<'_>, module: &str, name: &str, message: String) -> PyErr {
    match py
        .import(module)
        .and_then(|m| m.getattr(name))
        .and_then(|c| c.call1((message.clone(),)))
    {
        Ok(e) => PyErr::from_value(e),
        Err(_) => PyRuntimeError::new_err(message),
    }
}

/// The Python exception of an error.
pub fn to_py(py: Python<'_>, e: Error) -> PyErr {
    let m = e.message;
    match e.kind {
        Kind::Runtime | Kind::ZeroDivision => PyRuntimeError::new_err(m),
        Kind::Type => PyTypeError::new_err(m),
        Kind::Value => PyValueError::new_err(m),
        Kind::Index => PyIndexError::new_err(m),
        Kind::Key => PyKeyError::new_err(m),
        Kind::Attribute => PyAttributeError::new_err(m),
        Kind::NotImplemented => PyNotImplementedError::new_err(m),
        Kind::Buffer => PyBufferError::new_err(m),
        Kind::Overflow => PyOverflowError::new_err(m),
        Kind::Assertion => PyAssertionError::new_err(m),
        Kind::Import => PyImportError::new_err(m),
        Kind::Unpickling => class(py, "pickle", "UnpicklingError", m),
        Kind::LinAlg => class(py, "rtorch._errors", "LinAlgError", m),
        Kind::OutOfMemory => class(py, "rtorch._errors", "OutOfMemoryError", m),
        Kind::Python => match e.cause.as_ref().and_then(|c| c.downcast_ref::<PyErr>()) {
            Some(cause) => cause.clone_ref(py),
            None => PyRuntimeError::new_err(m),
        },
    }
}

/// A Python exception on its way through the core.
pub fn from_py(e: PyErr) -> Error {
    Error {
        kind: Kind::Python,
        message: e.to_string(),
        cause: Some(Rc::new(e)),
    }
}

/// Runs an entry point: errors and panics become the current Python exception and `failed` is returned.
pub fn guard<T>(py: Python<'_>, failed: T, f: impl FnOnce() -> PyResult<T>) -> T {
    guard_op(py, || "backward", failed, f)
}

/// As `guard`, and a CPU kernel that met device memory becomes an error that names the op.
#[inline(always)]
pub fn guard_op<'a, T>(
    py: Python<'_>,
    op: impl FnOnce() -> &'a str,
    failed: T,
    f: impl FnOnce() -> PyResult<T>,
) -> T {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(v)) => match crate::autograd::observe::take_failure() {
            None => v,
            Some(e) => {
                to_py(py, e).restore(py);
                failed
            }
        },
        Ok(Err(e)) => {
            crate::autograd::observe::take_failure();
            e.restore(py);
            failed
        }
        Err(panic) if panic.is::<crate::storage::DeviceMemory>() => {
            to_py(py, crate::storage::DeviceMemory::error(op())).restore(py);
            failed
        }
        Err(panic) if panic.is::<crate::list::Exhausted>() => {
            if let Some(e) = panic.downcast_ref::<crate::list::Exhausted>() {
                to_py(py, e.error()).restore(py);
            }
            failed
        }
        Err(panic) => {
            let what = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("unknown");
            let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner).take();
            PyRuntimeError::new_err(format!(
                "internal error in rtorch (please report it): {what}{}",
                place.map(|p| format!(", at {p}")).unwrap_or_default()
            ))
            .restore(py);
            failed
        }
    }
}

/// Runs an op: a CPU kernel that met device memory becomes an error that names it, and one without memory for its
/// scratch says so.
pub fn on_host<T>(op: &str, f: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(done) => done,
        Err(panic) if panic.is::<crate::storage::DeviceMemory>() => {
            Err(crate::storage::DeviceMemory::error(op))
        }
        Err(panic) => match panic.downcast_ref::<crate::list::Exhausted>() {
            Some(e) => Err(e.error()),
            None => std::panic::resume_unwind(panic),
        },
    }
}

/// Where the last panic began, on whichever thread: only the hook is told.
static PLACE: Mutex<Option<String>> = Mutex::new(None);

/// Panics are reported as exceptions; nothing is printed.
pub fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| {
        *PLACE.lock().unwrap_or_else(PoisonError::into_inner) =
            info.location().map(|l| l.to_string());
    }));
}

/// The interpreter token of a raw entry point.
///
/// # Safety
/// The calling thread holds the GIL, as it does in every function that the interpreter calls.
#[inline(always)]
pub unsafe fn token<'py>() -> Python<'py> {
    // SAFETY: the caller's promise.
    unsafe { Python::assume_attached() }
}

pub type Object = *mut ffi::PyObject;
