//! Python's arguments matched to a signature.

use crate::ops::args::Arg;
use crate::ops::schema::{Param, Signature, Type};
use crate::python::convert;
use crate::python::error::Object;
use crate::python::object;
use pyo3::prelude::*;
use smallvec::SmallVec;

pub(super) type Parsed = SmallVec<[Arg; 8]>;

/// Why a signature does not take the arguments.
pub(super) enum Refused {
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

#[inline]
pub(super) fn bound<'a, 'py>(py: Python<'py>, o: &'a Object) -> &'a Bound<'py, PyAny> {
    // SAFETY: `o` points to a live object pointer that outlives the borrow; `Bound` has the layout of a pointer.
    unsafe { Bound::ref_from_ptr(py, o) }
}

/// Matches arguments to one signature and adds them to `out`.
#[inline] // part of every call
pub(super) fn parse(
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
