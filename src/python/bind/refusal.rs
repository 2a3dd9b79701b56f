//! What a call is told that no signature takes.

use super::Entry;
use super::parse::{Refused, bound};
use crate::ops::schema::Signature;
use crate::python::convert;
use crate::python::error::Object;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

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
pub(super) fn refusal(
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
