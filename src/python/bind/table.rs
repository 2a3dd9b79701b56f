//! Every callable of the table, made at import, and the table itself for Python.

use super::entry::{ENTRIES, LONE_POINTS, MAX, POINTS};
use super::{Entry, Form, find};
use crate::dtype::DType;
use crate::ops::schema::{Param, Signature, Type};
use crate::ops::{self, InPlace, OpDef, space};
use crate::python::error::Object;
use crate::python::gil::Gil;
use crate::python::object::tensor_type;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::OnceLock;

fn c_string(text: String) -> *const c_char {
    // Method definitions live as long as the process.
    CString::new(text.replace('\0', ""))
        .map(|s| s.into_raw() as *const c_char)
        .unwrap_or(c"".as_ptr())
}

/// `name($self, other, *, alpha=1)\n--\n\ndoc`, from which Python makes `inspect.signature`.
fn doc_text(op: &OpDef, name: &str, method: bool) -> String {
    let mut text = String::new();
    if let Some(s) = op
        .overloads
        .first()
        .and_then(|o| Signature::parse(o.schema))
    {
        let mut parts: Vec<String> = Vec::new();
        let mut starred = false;
        let mut defaulted = false;
        let mut plain = true;
        for (i, p) in s.params.iter().enumerate() {
            if method && i == 0 {
                parts.push("$self".into());
                continue;
            }
            if p.keyword_only && !starred {
                starred = true;
                parts.push("*".into());
            }
            defaulted |= p.default.is_some();
            // Python's grammar has no required parameter after an optional one.
            plain &= p.keyword_only || !defaulted || p.default.is_some();
            parts.push(match &p.default {
                Some(_) => format!("{}={}", p.name, python_default(p)),
                None => p.name.clone(),
            });
        }
        if plain {
            text.push_str(&format!("{name}({})\n--\n\n", parts.join(", ")));
        }
    }
    text.push_str(
        op.doc
            .lines()
            .map(|l| l.strip_prefix(' ').unwrap_or(l))
            .collect::<Vec<_>>()
            .join("\n")
            .trim(),
    );
    text
}

fn python_default(p: &Param) -> String {
    match p.ty {
        Type::Str if p.default_text != "None" => {
            format!("'{}'", p.default_text.trim_matches(['"', '\'']))
        }
        Type::MemoryFormat | Type::DType if p.default_text != "None" => "None".into(),
        Type::Scalar | Type::Float if p.default_text.ends_with("inf") => "None".into(),
        _ => p.default_text.clone(),
    }
}

struct Binder<'a, 'py> {
    m: &'a Bound<'py, PyModule>,
    spaces: Vec<(u16, Bound<'py, PyAny>)>,
    entries: Vec<Entry>,
}

impl Binder<'_, '_> {
    fn definition(
        &mut self,
        op: &'static OpDef,
        name: &str,
        form: Form,
        method: bool,
    ) -> PyResult<*mut ffi::PyMethodDef> {
        let i = self.entries.len();
        if i >= MAX {
            return Err(PyTypeError::new_err(
                "the op table is full; raise MAX in bind/entry.rs",
            ));
        }
        self.entries.push(Entry {
            op,
            form,
            method,
            name: name.to_string(),
            signatures: OnceLock::new(),
        });
        let (block, row, at) = (i / 256, i / 16 % 16, i % 16);
        let lone = method && matches!(op.overloads, [o] if o.schema.starts_with("(Tensor input) "));
        let (ml_meth, ml_flags) = if lone {
            let f = ffi::PyMethodDefPointer {
                PyCFunction: LONE_POINTS[block][row][at],
            };
            (f, ffi::METH_NOARGS)
        } else {
            let f = ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: POINTS[block][row][at],
            };
            (f, ffi::METH_FASTCALL | ffi::METH_KEYWORDS)
        };
        Ok(Box::into_raw(Box::new(ffi::PyMethodDef {
            ml_name: c_string(name.to_string()),
            ml_meth,
            ml_flags,
            ml_doc: c_string(doc_text(op, name, method)),
        })))
    }

    fn function(&mut self, op: &'static OpDef, name: &str, form: Form, bit: u16) -> PyResult<()> {
        let def = self.definition(op, name, form, false)?;
        let py = self.m.py();
        // SAFETY: the definition lives for ever.
        let f = unsafe {
            let f = ffi::PyCFunction_NewEx(def, ptr::null_mut(), self.m.name()?.as_ptr());
            Bound::from_owned_ptr_or_err(py, f)?
        };
        for (b, target) in &self.spaces {
            if *b == bit {
                target.setattr(name, &f)?;
            }
        }
        Ok(())
    }

    fn method(&mut self, op: &'static OpDef, name: &str, form: Form) -> PyResult<()> {
        let def = self.definition(op, name, form, true)?;
        let py = self.m.py();
        // SAFETY: the type and the definition live for ever.
        unsafe {
            let d = Bound::from_owned_ptr_or_err(py, ffi::PyDescr_NewMethod(tensor_type(), def))?;
            let t = Bound::from_borrowed_ptr(py, tensor_type() as Object);
            t.setattr(name, d)
        }
    }
}

/// Makes every callable of the table.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    let modules = py.import("sys")?.getattr("modules")?;
    let mut spaces = vec![
        (space::TORCH, m.clone().into_any()),
        (space::PRIVATE, m.clone().into_any()),
    ];
    for (bit, name) in [
        (space::NN, "_nn"),
        (space::LINALG, "_linalg"),
        (space::SPECIAL, "_special"),
        (space::FFT, "_fft"),
    ] {
        // Under its full name in sys.modules, so that `from rtorch._C._nn import relu` works.
        let sub = PyModule::new(py, name)?;
        m.add_submodule(&sub)?;
        modules.set_item(format!("rtorch._C.{name}"), &sub)?;
        spaces.push((bit, sub.into_any()));
    }
    let mut b = Binder {
        m,
        spaces,
        entries: Vec::new(),
    };
    for op in ops::all() {
        let mut all: Vec<(u16, &str)> = vec![(op.spaces, op.name)];
        for alias in op.aliases {
            // `special.expit` is an alias in one space, `multiply` in all of the row's.
            match alias.split_once('.') {
                Some((s, name)) => {
                    let bit = space::NAMES
                        .iter()
                        .position(|n| n.rsplit('.').next() == Some(s) || *n == s);
                    all.push((bit.map_or(0, |i| 1 << i), name));
                }
                None => all.push((op.spaces, alias)),
            }
        }
        for (bits, name) in all {
            for bit in [
                space::TORCH,
                space::NN,
                space::LINALG,
                space::SPECIAL,
                space::FFT,
                space::PRIVATE,
            ] {
                if bits & bit != 0 {
                    b.function(op, name, Form::Plain, bit)?;
                }
            }
            if bits & space::METHOD != 0 {
                b.method(op, name, Form::Plain)?;
            }
            if op.in_place == InPlace::Yes {
                let name_ = format!("{name}_");
                if bits & space::METHOD != 0 {
                    b.method(op, &name_, Form::InPlace)?;
                }
                // `torch.relu_` exists for ops of one tensor, `F.relu_` for activations.
                let lone = op
                    .overloads
                    .first()
                    .and_then(|o| Signature::parse(o.schema))
                    .is_some_and(|s| s.params.iter().filter(|p| p.default.is_none()).count() == 1);
                for bit in [space::TORCH, space::NN] {
                    if bits & bit != 0 && lone {
                        b.function(op, &name_, Form::InPlace, bit)?;
                    }
                }
            }
        }
    }
    let entries = b.entries;
    let _ = ENTRIES.set(Gil(entries));
    m.add_function(wrap_pyfunction!(op_table, m)?)?;
    m.add_function(wrap_pyfunction!(op_info, m)?)?;
    Ok(())
}

fn info<'py>(py: Python<'py>, op: &'static OpDef) -> PyResult<Bound<'py, PyDict>> {
    let d = PyDict::new(py);
    d.set_item("name", op.name)?;
    let spaces: Vec<&str> = (0..space::NAMES.len())
        .filter(|i| op.spaces & (1 << i) != 0)
        .map(|i| space::NAMES[i])
        .collect();
    d.set_item("spaces", spaces)?;
    let schemas: Vec<String> = op
        .overloads
        .iter()
        .map(|o| format!("{}{}", op.name, o.schema))
        .collect();
    d.set_item("schemas", schemas)?;
    d.set_item(
        "doc",
        op.doc
            .lines()
            .map(|l| l.strip_prefix(' ').unwrap_or(l))
            .collect::<Vec<_>>()
            .join("\n")
            .trim(),
    )?;
    d.set_item("inplace", op.in_place == InPlace::Yes)?;
    d.set_item("out", op.out)?;
    d.set_item("aliases", op.aliases.to_vec())?;
    d.set_item("wgsl", op.pointwise.and_then(|p| p.wgsl))?;
    d.set_item(
        "kind",
        if op.pointwise.is_some() {
            "pointwise"
        } else {
            "kernel"
        },
    )?;
    if let Some(p) = op.pointwise {
        let dtypes: Vec<&str> = DType::ALL
            .iter()
            .filter(|d| (p.kernel)(d.compute()).is_some())
            .map(|d| d.name())
            .collect();
        d.set_item("dtypes", dtypes)?;
        d.set_item("differentiable", p.differentiable)?;
    }
    Ok(d)
}

/// Every op as a dict: name, spaces, schemas, doc, inplace, out, aliases, wgsl, kind.
#[pyfunction]
fn op_table(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let rows = ops::all()
        .map(|op| info(py, op))
        .collect::<PyResult<Vec<_>>>()?;
    PyList::new(py, rows)
}

/// One row of the table.
#[pyfunction]
fn op_info<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
    match find(name) {
        Some(op) => info(py, op),
        None => Err(pyo3::exceptions::PyKeyError::new_err(format!(
            "no op is named '{name}'"
        ))),
    }
}
