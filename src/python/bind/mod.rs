//! Rows of the op table as Python functions and methods.
//!
//! Every callable is one of 2,048 tiny entry points (twice, for methods without arguments) that differ only in an index;
//! all else is shared: one parser that follows PyTorch's schemas, one caller, one error boundary.

use crate::ops::args::{Arg, Args};
use crate::ops::schema::Signature;
use crate::ops::{self, OpDef};
use crate::python::convert;
use crate::python::error::{Object, guard, guard_op, on_host, to_py, token};
use crate::python::object::{self, tensor_type};
use entry::ENTRIES;
use forms::{in_place, into, outputs};
use parse::{Parsed, Refused, bound, parse};
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use refusal::refusal;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::ptr;
use std::sync::OnceLock;

mod entry;
mod forms;
mod parse;
mod refusal;
mod table;

pub use forms::{call_row, call_row_in_place};
pub use table::register;

/// How a row is called under one name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    /// `name_`: the result goes into the first argument.
    InPlace,
}

/// A callable: a row in one form, as function or method.
struct Entry {
    op: &'static OpDef,
    form: Form,
    method: bool,
    name: String,
    signatures: OnceLock<Vec<Signature>>,
}

impl Entry {
    /// The signatures as Python sees them, parsed at the first call.
    fn signatures(&self) -> &[Signature] {
        self.signatures.get_or_init(|| {
            self.op
                .overloads
                .iter()
                .filter_map(|o| Signature::parse(o.schema))
                .collect()
        })
    }
}

#[inline(never)]
unsafe fn call(
    i: usize,
    slf: Object,
    args: *const Object,
    nargs: usize,
    kwnames: Object,
) -> Object {
    // SAFETY: the interpreter's calling convention, see `entry`.
    unsafe {
        let py = token();
        guard(py, ptr::null_mut(), || {
            let Some(entry) = ENTRIES.get().and_then(|e| e.get(i)) else {
                return Err(PyTypeError::new_err("not an operator"));
            };
            let mut given: SmallVec<[Object; 8]> = SmallVec::new();
            if entry.method {
                given.push(slf);
            }
            for k in 0..nargs {
                given.push(*args.add(k));
            }
            let n = if kwnames.is_null() {
                0
            } else {
                ffi::PyTuple_Size(kwnames) as usize
            };
            let mut keywords: SmallVec<[(&str, Object); 6]> = SmallVec::new();
            for k in 0..n {
                let name = ffi::PyTuple_GetItem(kwnames, k as isize);
                let mut len = 0;
                let text = ffi::PyUnicode_AsUTF8AndSize(name, &mut len);
                if text.is_null() {
                    return Err(PyErr::fetch(py));
                }
                let bytes = std::slice::from_raw_parts(text as *const u8, len as usize);
                let Ok(text) = std::str::from_utf8(bytes) else {
                    return Err(PyTypeError::new_err("invalid keyword"));
                };
                keywords.push((text, *args.add(nargs + k)));
            }
            run(py, entry, &given, &keywords).map(|o| o.into_ptr())
        })
    }
}

/// Parses, runs, converts.
fn run(
    py: Python<'_>,
    entry: &Entry,
    given: &[Object],
    keywords: &[(&str, Object)],
) -> PyResult<Py<PyAny>> {
    if let Some(overridden) = overridden(py, entry, given, keywords)? {
        return Ok(overridden);
    }
    let signatures = entry.signatures();
    let mut keywords: SmallVec<[(&str, Object); 6]> = SmallVec::from_slice(keywords);
    let mut out = None;
    if entry.op.out
        && entry.form == Form::Plain
        && let Some(k) = keywords.iter().position(|k| k.0 == "out")
    {
        let o = keywords.remove(k).1;
        if !bound(py, &o).is_none() {
            out = Some(outputs(py, entry, bound(py, &o))?);
        }
    }
    let mut why: SmallVec<[Refused; 4]> = SmallVec::new();
    for (s, overload) in signatures.iter().zip(entry.op.overloads) {
        let mut args = Parsed::new();
        match parse(py, s, entry.method, given, &keywords, &mut args)? {
            Ok(()) => {
                let v = on_host(&entry.name, || match (&out, entry.form) {
                    (Some(outs), _) => into(entry.op, overload, s, &mut args, outs),
                    (None, Form::Plain) => (overload.run)(&Args(&args)),
                    (None, Form::InPlace) => in_place(entry.op, overload, args),
                });
                return convert::result(py, v.map_err(|e| to_py(py, e))?);
            }
            Err(r) => why.push(r),
        }
    }
    Err(refusal(py, entry, signatures, &why, given, &keywords))
}

/// As `call` and `run`, for a method without arguments.
#[inline(never)]
fn call_lone(py: Python<'_>, entry: &Entry, slf: Object) -> Object {
    guard_op(
        py,
        || &entry.name,
        ptr::null_mut(),
        || {
            if let Some(overridden) = overridden(py, entry, &[slf], &[])? {
                return Ok(overridden.into_ptr());
            }
            let x = [Arg::Tensor(object::tensor_of(bound(py, &slf))?)];
            let overload = &entry.op.overloads[0];
            let v = match entry.form {
                Form::Plain => (overload.run)(&Args(&x)),
                Form::InPlace => in_place(entry.op, overload, x.into_iter().collect()),
            };
            Ok(convert::result(py, v.map_err(|e| to_py(py, e))?)?.into_ptr())
        },
    )
}

/// `__torch_function__` of the first argument whose class overrides it. Exact tensors cost one comparison each.
fn overridden(
    py: Python<'_>,
    entry: &Entry,
    given: &[Object],
    keywords: &[(&str, Object)],
) -> PyResult<Option<Py<PyAny>>> {
    let foreign = |o: Object| -> bool {
        // SAFETY: live objects under the GIL.
        unsafe {
            let t = ffi::Py_TYPE(o);
            t != tensor_type() && crate::python::autograd::overrides_torch_function(py, t)
        }
    };
    let all = given.iter().copied().chain(keywords.iter().map(|k| k.1));
    for o in all {
        if foreign(o) {
            return crate::python::autograd::call_torch_function(
                py,
                &entry.name,
                entry.method,
                o,
                given,
                keywords,
            );
        }
    }
    Ok(None)
}

/// The row with this name.
pub fn find(name: &str) -> Option<&'static OpDef> {
    static BY_NAME: OnceLock<HashMap<&'static str, &'static OpDef>> = OnceLock::new();
    BY_NAME
        .get_or_init(|| ops::all().map(|o| (o.name, o)).collect())
        .get(name)
        .copied()
}
