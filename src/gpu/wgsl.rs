//! WGSL text: template expansion, conversions between element types, and the exact maths.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::OnceLock;

use super::api::{Class, Elem, Error, Result};

/// A kernel's text, ready to be expanded.
pub struct Source<'a> {
    pub template: &'static str,
    /// The WGSL types of the elements of the storage bindings.
    pub buffers: Vec<String>,
    /// The names of the parameter words, in the order in which the launch passes them.
    pub params: Vec<String>,
    pub fill: Vec<(&'a str, String)>,
}

/// Fills a template's `{{name}}` places and puts the declarations it relies on in front.
pub fn expand(source: &Source<'_>, uniform: bool) -> Result<String> {
    let mut body = source.template.to_string();
    for (name, text) in &source.fill {
        body = body.replace(&format!("{{{{{name}}}}}"), text);
    }
    if let Some(at) = body.find("{{") {
        let end = body[at..].find("}}").map_or(body.len(), |n| at + n);
        return Err(Error::Failed(format!(
            "a gpu template lacks a value for {}",
            &body[at + 2..end]
        )));
    }
    let mut out = String::new();
    if source.buffers.iter().any(|b| b.contains("f16")) {
        out.push_str("enable f16;\n");
    }
    for (i, elem) in source.buffers.iter().enumerate() {
        let _ = writeln!(
            out,
            "@group(0) @binding({i}) var<storage, read_write> b{i}: array<{elem}>;"
        );
    }
    let rows = source.params.len().div_ceil(4);
    if rows > 0 {
        out.push_str("struct Params {\n");
        for row in 0..rows {
            let _ = writeln!(out, "    r{row}: vec4<u32>,");
        }
        out.push_str("}\n");
        out.push_str(if uniform {
            "@group(1) @binding(0) var<uniform> params: Params;\n"
        } else {
            "var<immediate> params: Params;\n"
        });
    }
    // A parameter is written `$name` in templates. Longer names first, so that `$n` does not eat into `$next`.
    let mut named: Vec<(usize, &String)> = source.params.iter().enumerate().collect();
    named.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
    for (i, name) in named {
        let word = format!("params.r{}.{}", i / 4, ["x", "y", "z", "w"][i % 4]);
        body = body.replace(&format!("${name}"), &word);
    }
    if let Some(at) = body.find('$') {
        let end = body[at..].find(|c: char| !(c == '$' || c == '_' || c.is_alphanumeric()));
        return Err(Error::Failed(format!(
            "a gpu template names a parameter it does not take: {}",
            &body[at..end.map_or(body.len(), |n| at + n)]
        )));
    }
    let body = with_math(&body);
    out.push_str(&body);
    Ok(out)
}

/// The functions of `wgsl/math.wgsl` by name, with their text.
fn math() -> &'static HashMap<&'static str, &'static str> {
    static MATH: OnceLock<HashMap<&'static str, &'static str>> = OnceLock::new();
    MATH.get_or_init(|| {
        let text = include_str!("wgsl/math.wgsl");
        let mut starts: Vec<usize> = text
            .match_indices("\nfn rt_")
            .map(|(at, _)| at + 1)
            .collect();
        starts.push(text.len());
        let parts = starts.windows(2).map(|w| &text[w[0]..w[1]]);
        parts
            .filter_map(|part| part[3..].split('(').next().map(|name| (name, part)))
            .collect()
    })
}

/// Appends the math functions the text calls, and those they call.
fn with_math(body: &str) -> String {
    let mut out = body.to_string();
    let mut added: Vec<&str> = Vec::new();
    loop {
        let mut wanted: Vec<(&str, &str)> = math()
            .iter()
            .filter(|(name, _)| !added.contains(*name) && out.contains(&format!("{name}(")))
            .map(|(&name, &text)| (name, text))
            .collect();
        if wanted.is_empty() {
            return out;
        }
        wanted.sort_unstable();
        for (name, text) in wanted {
            added.push(name);
            out.push('\n');
            out.push_str(text);
        }
    }
}

/// Replaces calls of functions whose built-in form is inexact or unsafe with NaN by those of `wgsl/math.wgsl`.
///
/// Rows write plain names (`log(x)`, `max(a, b)`); integers keep the built-in ones.
pub fn exact_calls(expr: &str, class: Class) -> String {
    let mut out = String::with_capacity(expr.len() + 16);
    let mut rest = expr;
    while let Some(start) = rest.find(|c: char| c == '_' || c.is_ascii_alphanumeric()) {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest
            .find(|c: char| !(c == '_' || c.is_ascii_alphanumeric()))
            .unwrap_or(rest.len());
        let word = &rest[..end];
        let called = rest[end..].trim_start().starts_with('(');
        let own = match class {
            Class::F32 => format!("rt_{word}"),
            class => format!("rt_{}_{word}", class.wgsl()),
        };
        if called && math().contains_key(own.as_str()) {
            out.push_str(&own);
        } else {
            out.push_str(word);
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// The text of a stored element, as a value of its class.
pub fn load(elem: Elem, text: &str) -> String {
    match elem {
        Elem::F16 => format!("f32({text})"),
        _ => text.to_string(),
    }
}

/// Converts a value between classes, as a C cast does.
pub fn cast(text: &str, from: Class, to: Class) -> String {
    match (from, to) {
        _ if from == to => text.to_string(),
        // A negative float wraps when it becomes unsigned, as the processor's conversion does.
        (Class::F32, Class::U32) => format!("u32(i32({text}))"),
        _ => format!("{}({text})", to.wgsl()),
    }
}

/// True where the value differs from zero; NaN does.
pub fn truth(text: &str, class: Class) -> String {
    match class {
        Class::F32 => format!("((bitcast<u32>({text}) & 0x7fffffffu) != 0u)"),
        Class::I64 => format!("({text} != 0li)"),
        Class::I32 => format!("({text} != 0i)"),
        Class::U32 => format!("({text} != 0u)"),
    }
}

/// A value of `class` as it is stored in an element.
pub fn store(elem: Elem, text: &str, class: Class) -> String {
    if elem == Elem::Bool {
        return format!("u32({})", truth(text, class));
    }
    let value = cast(text, class, elem.class());
    match elem {
        Elem::F16 => format!("f16({value})"),
        Elem::BF16 => format!("rt_bf16({value})"),
        Elem::I16 => format!("(({value} << 16u) >> 16u)"),
        Elem::I8 => format!("(({value} << 24u) >> 24u)"),
        Elem::U8 => format!("({value} & 0xffu)"),
        _ => value,
    }
}
