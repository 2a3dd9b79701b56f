//! Rows of the op table as Python functions and methods.
//!
//! Every callable is one of 2,048 tiny entry points (twice, for methods without arguments) that differ only in an index; all else is shared: one parser that
//! follows PyTorch's schemas, one caller, one error boundary.

use super::convert;
use super::error::{Object, guard, guard_op, on_host, to_py, token};
use super::gil::Gil;
use super::object::{self, tensor_type};
use crate::autograd;
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::args::{Arg, Args, Value};
use crate::ops::schema::{Param, Signature, Type};
use crate::ops::{self, InPlace, OpDef, Overload, space};
use crate::shape;
use crate::tensor::Tensor;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::OnceLock;

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

const MAX: usize = 2048;
static ENTRIES: OnceLock<Gil<Vec<Entry>>> = OnceLock::new();

unsafe extern "C" fn entry<const I: usize>(
    slf: Object,
    args: *const Object,
    nargs: ffi::Py_ssize_t,
    kwnames: Object,
) -> Object {
    // SAFETY: the interpreter calls with `nargs` positional and `kwnames` keyword arguments under the GIL.
    unsafe { call(I, slf, args, nargs as usize, kwnames) }
}

/// A method without arguments takes the interpreter's shortest call.
unsafe extern "C" fn lone_entry<const I: usize>(slf: Object, _: Object) -> Object {
    // SAFETY: the interpreter calls under the GIL with an instance of the type.
    let py = unsafe { token() };
    match ENTRIES.get().and_then(|e| e.get(I)) {
        Some(entry) => call_lone(py, entry, slf),
        None => guard(py, ptr::null_mut(), || {
            Err(PyTypeError::new_err("not an operator"))
        }),
    }
}

/// The entry points, 16 at a time.
macro_rules! sixteen {
    ($entry:ident, $type:ty, $base:expr) => {
        [
            $entry::<{ $base }> as $type,
            $entry::<{ $base + 1 }>,
            $entry::<{ $base + 2 }>,
            $entry::<{ $base + 3 }>,
            $entry::<{ $base + 4 }>,
            $entry::<{ $base + 5 }>,
            $entry::<{ $base + 6 }>,
            $entry::<{ $base + 7 }>,
            $entry::<{ $base + 8 }>,
            $entry::<{ $base + 9 }>,
            $entry::<{ $base + 10 }>,
            $entry::<{ $base + 11 }>,
            $entry::<{ $base + 12 }>,
            $entry::<{ $base + 13 }>,
            $entry::<{ $base + 14 }>,
            $entry::<{ $base + 15 }>,
        ]
    };
}
macro_rules! block {
    ($entry:ident, $type:ty, $base:expr) => {
        [
            sixteen!($entry, $type, $base),
            sixteen!($entry, $type, $base + 16),
            sixteen!($entry, $type, $base + 32),
            sixteen!($entry, $type, $base + 48),
            sixteen!($entry, $type, $base + 64),
            sixteen!($entry, $type, $base + 80),
            sixteen!($entry, $type, $base + 96),
            sixteen!($entry, $type, $base + 112),
            sixteen!($entry, $type, $base + 128),
            sixteen!($entry, $type, $base + 144),
            sixteen!($entry, $type, $base + 160),
            sixteen!($entry, $type, $base + 176),
            sixteen!($entry, $type, $base + 192),
            sixteen!($entry, $type, $base + 208),
            sixteen!($entry, $type, $base + 224),
            sixteen!($entry, $type, $base + 240),
        ]
    };
}
macro_rules! points {
    ($entry:ident, $type:ty) => {
        [
            block!($entry, $type, 0),
            block!($entry, $type, 256),
            block!($entry, $type, 512),
            block!($entry, $type, 768),
            block!($entry, $type, 1024),
            block!($entry, $type, 1280),
            block!($entry, $type, 1536),
            block!($entry, $type, 1792),
        ]
    };
}
type Points<F> = [[[F; 16]; 16]; 8];
static POINTS: Points<ffi::PyCFunctionFastWithKeywords> =
    points!(entry, ffi::PyCFunctionFastWithKeywords);
static LONE_POINTS: Points<ffi::PyCFunction> = points!(lone_entry, ffi::PyCFunction);

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

type Parsed = SmallVec<[Arg; 8]>;

/// Why a signature does not take the arguments.
enum Refused {
    Missing(Vec<String>),
    TooMany,
    Unexpected(String),
    Twice(String),
    /// Parameter index, 1-based position if it was positional.
    BadType(usize, Option<usize>, String),
    BadElement(usize, String),
}

/// numpy's names for PyTorch's parameters.
fn numpy_name(param: &str) -> &'static [&'static str] {
    match param {
        "dim" => &["axis"],
        "keepdim" => &["keepdims"],
        "input" => &["x", "a", "x1", "self"],
        "other" => &["x2"],
        _ => &[],
    }
}

fn names(param: &Param, keyword: &str) -> bool {
    param.name == keyword || numpy_name(&param.name).contains(&keyword)
}

fn bound<'a, 'py>(py: Python<'py>, o: &'a Object) -> &'a Bound<'py, PyAny> {
    // SAFETY: `o` points to a live object pointer that outlives the borrow; `Bound` has the layout of a pointer.
    unsafe { Bound::ref_from_ptr(py, o) }
}

/// Matches arguments to one signature and adds them to `out`.
fn parse(
    py: Python<'_>,
    s: &Signature,
    method: bool,
    given: &[Object],
    keywords: &[(&str, Object)],
    out: &mut Parsed,
) -> PyResult<std::result::Result<(), Refused>> {
    let skip = method as usize;
    // `x.view(2, 3)`: all positional arguments are one list when the only positional parameter is a list of ints.
    let lone_list = s.positional == skip + 1 && matches!(s.params[skip].ty, Type::Ints(None));
    let ints = lone_list && given.len() > skip && convert::index(bound(py, &given[skip])).is_some();
    // `torch.meshgrid(a, b)`, and without any tensor.
    let tensors = s.positional == skip + 1
        && s.params[skip].ty == Type::Variadic
        && given
            .get(skip)
            .is_none_or(|o| convert::tensor(bound(py, o)).is_some());
    let spread = ints || tensors;
    if tensors {
        let mut list = Vec::with_capacity(given.len());
        for o in given {
            match convert::tensor(bound(py, o)) {
                Some(t) => list.push(t),
                None => {
                    return Ok(Err(Refused::BadType(
                        skip,
                        Some(1),
                        convert::type_name(bound(py, o)),
                    )));
                }
            }
        }
        if skip == 1 {
            out.push(Arg::Tensor(list.remove(0)));
        }
        out.push(Arg::Tensors(list));
    } else if ints {
        if skip == 1 {
            match convert::argument(&s.params[0], bound(py, &given[0]))? {
                Some(a) => out.push(a),
                None => {
                    return Ok(Err(Refused::BadType(
                        0,
                        Some(1),
                        convert::type_name(bound(py, &given[0])),
                    )));
                }
            }
        }
        let mut list: SmallVec<[i64; 6]> = SmallVec::new();
        for o in &given[skip..] {
            match convert::index(bound(py, o)) {
                Some(i) => list.push(i?),
                None => {
                    return Ok(Err(Refused::BadType(
                        skip,
                        Some(1),
                        convert::type_name(bound(py, &given[skip])),
                    )));
                }
            }
        }
        out.push(Arg::Ints(list));
    } else if given.len() > s.positional {
        return Ok(Err(Refused::TooMany));
    }
    let taken = if spread { skip + 1 } else { given.len() };
    let mut used = 0;
    let mut missing = Vec::new();
    for (i, p) in s.params.iter().enumerate().skip(out.len()) {
        let (o, position) = if i < taken {
            (Some(given[i]), Some(i + 1 - skip))
        } else {
            let o = keywords.iter().find(|k| names(p, k.0)).map(|k| k.1);
            used += o.is_some() as usize;
            (o, None)
        };
        let Some(o) = o else {
            match &p.default {
                Some(d) => out.push(d.clone()),
                None => missing.push(p.name.clone()),
            }
            if !missing.is_empty() && p.default.is_none() {
                continue;
            }
            continue;
        };
        if !missing.is_empty() {
            continue;
        }
        let o = bound(py, &o);
        match convert::argument(p, o)? {
            Some(a) => out.push(a),
            None => {
                if matches!(p.ty, Type::Tensors)
                    && let Ok(items) = o.try_iter()
                {
                    for (k, item) in items.enumerate() {
                        let item = item?;
                        // SAFETY: a live object under the GIL.
                        if !unsafe { object::is_tensor(item.as_ptr()) } {
                            return Ok(Err(Refused::BadElement(k, convert::type_name(&item))));
                        }
                    }
                }
                return Ok(Err(Refused::BadType(i, position, convert::type_name(o))));
            }
        }
    }
    if used < keywords.len() {
        for (k, _) in keywords {
            match s.params.iter().position(|p| names(p, k)) {
                None => return Ok(Err(Refused::Unexpected(k.to_string()))),
                Some(i) if i < taken => return Ok(Err(Refused::Twice(k.to_string()))),
                Some(_) => {}
            }
        }
    }
    if !missing.is_empty() {
        return Ok(Err(Refused::Missing(missing)));
    }
    Ok(Ok(()))
}

/// `(Tensor other, *, Number alpha = 1)`
fn describe(s: &Signature, method: bool) -> String {
    let mut out = Vec::new();
    let mut starred = false;
    for p in s.params.iter().skip(method as usize) {
        if p.keyword_only && !starred {
            starred = true;
            out.push("*".to_string());
        }
        let mut text = format!("{} {}", p.ty.words(), p.name);
        if p.default.is_some() {
            text.push_str(" = ");
            text.push_str(&p.default_text);
        }
        out.push(text);
    }
    format!("({})", out.join(", "))
}

#[cold]
fn refusal(
    py: Python<'_>,
    entry: &Entry,
    signatures: &[Signature],
    why: &[Refused],
    given: &[Object],
    keywords: &[(&str, Object)],
) -> PyErr {
    let name = &entry.name;
    let skip = entry.method as usize;
    if let ([s], [why]) = (signatures, why) {
        return PyTypeError::new_err(match why {
            Refused::Missing(m) => {
                let list: Vec<String> = m.iter().map(|m| format!("\"{m}\"")).collect();
                format!(
                    "{name}() missing {} required positional arguments: {}",
                    m.len(),
                    list.join(", ")
                )
            }
            Refused::TooMany => format!(
                "{name}() takes {} positional argument{} but {} {} given",
                s.positional - skip,
                if s.positional - skip == 1 { "" } else { "s" },
                given.len() - skip,
                if given.len() - skip == 1 {
                    "was"
                } else {
                    "were"
                }
            ),
            Refused::Unexpected(k) => format!("{name}() got an unexpected keyword argument '{k}'"),
            Refused::Twice(k) => format!("{name}() got multiple values for argument '{k}'"),
            Refused::BadType(i, Some(at), got) => format!(
                "{name}(): argument '{}' (position {at}) must be {}, not {got}",
                s.params[*i].name,
                s.params[*i].ty.words()
            ),
            Refused::BadType(i, None, got) => {
                format!(
                    "{name}(): argument '{}' must be {}, not {got}",
                    s.params[*i].name,
                    s.params[*i].ty.words()
                )
            }
            Refused::BadElement(k, got) => {
                format!("expected Tensor as element {k} in argument 0, but got {got}")
            }
        });
    }
    let mut got: Vec<String> = given[skip..]
        .iter()
        .map(|o| convert::type_name(bound(py, o)))
        .collect();
    got.extend(
        keywords
            .iter()
            .map(|(k, o)| format!("{k}={}", convert::type_name(bound(py, o)))),
    );
    let options: Vec<String> = signatures
        .iter()
        .map(|s| format!(" * {}", describe(s, entry.method)))
        .collect();
    PyTypeError::new_err(format!(
        "{name}() received an invalid combination of arguments - got ({}), but expected one of:\n{}\n",
        got.join(", "),
        options.join("\n")
    ))
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
            t != tensor_type() && super::autograd::overrides_torch_function(py, t)
        }
    };
    let all = given.iter().copied().chain(keywords.iter().map(|k| k.1));
    for o in all {
        if foreign(o) {
            return super::autograd::call_torch_function(
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

/// The tensors given as `out=`.
fn outputs(py: Python<'_>, entry: &Entry, o: &Bound<'_, PyAny>) -> PyResult<Vec<Tensor>> {
    let _ = py;
    if let Ok(t) = object::tensor_of(o) {
        return Ok(vec![t]);
    }
    if let Ok(items) = o.try_iter() {
        let all: PyResult<Vec<Tensor>> = items.map(|i| object::tensor_of(&i?)).collect();
        if let Some(all) = all.ok().filter(|all| !all.is_empty()) {
            return Ok(all);
        }
    }
    Err(PyTypeError::new_err(format!(
        "{}(): argument 'out' must be Tensor, not {}",
        entry.name,
        convert::type_name(o)
    )))
}

fn tensors_in(args: &[Arg]) -> Vec<&Tensor> {
    let mut out = Vec::new();
    for a in args {
        match a {
            Arg::Tensor(t) => out.push(t),
            Arg::Tensors(v) => out.extend(v),
            Arg::OptTensors(v) => out.extend(v.iter().flatten()),
            _ => {}
        }
    }
    out
}

/// Runs into the tensors of `out=`.
fn into(
    op: &'static OpDef,
    overload: &Overload,
    s: &Signature,
    args: &mut Parsed,
    outs: &[Tensor],
) -> Result<Value> {
    if let (Some(p), [out]) = (op.pointwise, outs) {
        let (ins, params) = p.split(&Args(args))?;
        let ins: SmallVec<[&Tensor; 4]> = ins.iter().collect();
        return Ok(p.call_into(&ins, &params, out)?.into());
    }
    ops::declare::check_out(op.name, &tensors_in(args), outs)?;
    // A creation function takes the dtype of `out`.
    if let Some(i) = s
        .params
        .iter()
        .position(|p| p.name == "dtype" && p.ty == Type::DType)
        && matches!(args[i], Arg::None)
        && !args
            .iter()
            .any(|a| matches!(a, Arg::Tensor(_) | Arg::Tensors(_)))
    {
        args[i] = Arg::DType(outs[0].dtype());
    }
    let result = autograd::no_grad(|| (overload.run)(&Args(args)))?;
    let results = result.tensors();
    crate::check!(
        results.len() == outs.len(),
        Type,
        "{}(): argument 'out' must hold {} tensors, got {}",
        op.name,
        results.len(),
        outs.len()
    );
    let mut written = Vec::new();
    for (r, o) in results.iter().zip(outs) {
        crate::check!(
            r.dtype().can_cast(o.dtype()),
            Runtime,
            "result type {} can't be cast to the desired output type {}",
            r.dtype().scalar_name(),
            o.dtype().scalar_name()
        );
        // Results that belong together are not cast.
        crate::check!(
            !matches!(result, Value::Named(..)) || r.dtype() == o.dtype(),
            Runtime,
            "Expected out tensor to have dtype {}, but got {} instead",
            r.dtype().native_name(),
            o.dtype().native_name()
        );
        o.same_device(r)?;
        autograd::inplace::check_writable(o)?;
        let o = o.resized(r.sizes())?;
        let held = if o.storage().same(r.storage()) {
            r.clone_data()?
        } else {
            r.clone()
        };
        o.write_from(&held)?;
        o.bump();
        written.push(o);
    }
    Ok(match result {
        Value::Tensor(_) => Value::Tensor(written.remove(0)),
        Value::List(_) => Value::List(written),
        Value::Named(name, fields, _) => Value::Named(name, fields, written),
        _ => Value::Tuple(written),
    })
}

/// `name_`: the result over the first argument.
fn in_place(op: &'static OpDef, overload: &Overload, mut args: Parsed) -> Result<Value> {
    if let Some(p) = op.pointwise {
        let (ins, params) = p.split(&Args(&args))?;
        let ins: SmallVec<[&Tensor; 4]> = ins.iter().collect();
        return Ok(p.call_in_place(&ins, &params)?.into());
    }
    let x = Args(&args).tensor(0);
    let grad = autograd::needs_grad(&tensors_in(&args));
    autograd::inplace::check(&x, grad)?;
    if grad {
        args[0] = Arg::Tensor(autograd::inplace::original(&x)?);
    }
    let Value::Tensor(r) = (overload.run)(&Args(&args))? else {
        crate::bail!(Runtime, "{}_ needs a tensor result", op.name)
    };
    crate::check!(
        r.dtype().can_cast(x.dtype()),
        Runtime,
        "result type {} can't be cast to the desired output type {}",
        r.dtype().scalar_name(),
        x.dtype().scalar_name()
    );
    crate::check!(
        r.sizes() == x.sizes(),
        Runtime,
        "output with shape {} doesn't match the broadcast shape {}",
        shape::list(x.sizes()),
        shape::list(r.sizes())
    );
    Ok(x.overwrite(&r.to_dtype(x.dtype())?)?.into())
}

/// Calls a row from a number slot: `a + b`.
pub fn call_row(op: &'static OpDef, ins: &[&Tensor]) -> Result<Tensor> {
    if let Some(p) = op.pointwise {
        const ONE: [crate::scalar::Scalar; 1] = [crate::scalar::Scalar::Int(1)];
        return p.call(ins, &ONE[..p.params.len().min(1)]);
    }
    let args: Parsed = ins.iter().map(|t| Arg::Tensor((*t).clone())).collect();
    match (op.overloads[0].run)(&Args(&args))? {
        Value::Tensor(t) => Ok(t),
        _ => crate::bail!(Runtime, "{} does not give one tensor", op.name),
    }
}

/// As `call_row`, over the first operand.
pub fn call_row_in_place(op: &'static OpDef, ins: &[&Tensor]) -> Result<Tensor> {
    if let Some(p) = op.pointwise {
        const ONE: [crate::scalar::Scalar; 1] = [crate::scalar::Scalar::Int(1)];
        return p.call_in_place(ins, &ONE[..p.params.len().min(1)]);
    }
    let args: Parsed = ins.iter().map(|t| Arg::Tensor((*t).clone())).collect();
    match in_place(op, &op.overloads[0], args)? {
        Value::Tensor(t) => Ok(t),
        _ => crate::bail!(Runtime, "{} does not give one tensor", op.name),
    }
}

/// The row with this name.
pub fn find(name: &str) -> Option<&'static OpDef> {
    static BY_NAME: OnceLock<HashMap<&'static str, &'static OpDef>> = OnceLock::new();
    BY_NAME
        .get_or_init(|| ops::all().map(|o| (o.name, o)).collect())
        .get(name)
        .copied()
}

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
                "the op table is full; raise MAX in bind.rs",
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
