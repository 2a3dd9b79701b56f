//! Signatures in PyTorch's schema grammar: `(Tensor input, int[2] kernel_size, *, Scalar alpha=1) -> Tensor`.
//! A schema is parsed once, at the op's first call.

use super::args::{Arg, MemoryFormat};
use crate::device::Device;
use crate::dtype::DType;
use crate::scalar::Scalar;
use smallvec::SmallVec;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Tensor,
    Tensors,
    OptTensors,
    /// A list of tensors that may also be given one by one: `torch.meshgrid(a, b)`.
    Variadic,
    Int,
    /// A list of ints; a single int stands for a list of this length, if it is given.
    Ints(Option<u8>),
    Float,
    Floats,
    Bool,
    Bools,
    Scalar,
    Scalars,
    DType,
    Device,
    Layout,
    MemoryFormat,
    Str,
    Generator,
}

#[derive(Clone)]
pub struct Param {
    pub name: String,
    pub ty: Type,
    /// Accepts None.
    pub optional: bool,
    pub default: Option<Arg>,
    pub default_text: String,
    pub keyword_only: bool,
}

#[derive(Clone)]
pub struct Signature {
    pub params: Vec<Param>,
    /// Parameters that may be given by position.
    pub positional: usize,
    pub returns: String,
}

impl Type {
    fn parse(text: &str) -> Option<Type> {
        Some(match text {
            "Tensor" => Type::Tensor,
            "Tensor[]" => Type::Tensors,
            "Tensor[*]" => Type::Variadic,
            "Tensor?[]" => Type::OptTensors,
            "int" => Type::Int,
            "int[]" => Type::Ints(None),
            "float" => Type::Float,
            "float[]" => Type::Floats,
            "bool" => Type::Bool,
            "bool[]" => Type::Bools,
            "Scalar" => Type::Scalar,
            "Scalar[]" => Type::Scalars,
            "ScalarType" => Type::DType,
            "Device" => Type::Device,
            "Layout" => Type::Layout,
            "MemoryFormat" => Type::MemoryFormat,
            "str" => Type::Str,
            "Generator" => Type::Generator,
            _ => {
                let n = text.strip_prefix("int[")?.strip_suffix(']')?;
                Type::Ints(Some(n.parse().ok()?))
            }
        })
    }

    /// How PyTorch's messages call it.
    pub fn words(self) -> &'static str {
        match self {
            Type::Tensor => "Tensor",
            Type::Tensors | Type::OptTensors | Type::Variadic => "tuple of Tensors",
            Type::Int => "int",
            Type::Ints(_) => "tuple of ints",
            Type::Float => "float",
            Type::Floats => "tuple of floats",
            Type::Bool => "bool",
            Type::Bools => "tuple of bools",
            Type::Scalar => "Number",
            Type::Scalars => "tuple of Scalars",
            Type::DType => "torch.dtype",
            Type::Device => "torch.device",
            Type::Layout => "torch.layout",
            Type::MemoryFormat => "torch.memory_format",
            Type::Str => "str",
            Type::Generator => "torch.Generator",
        }
    }
}

fn default(ty: Type, text: &str) -> Option<Arg> {
    let text = text.trim();
    if text == "None" {
        return Some(Arg::None);
    }
    let boolean = match text {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    };
    let number = |t: &str| -> Option<Scalar> {
        let t = t.trim();
        if let Ok(i) = t.parse::<i64>() {
            return Some(Scalar::Int(i));
        }
        match t {
            "inf" => Some(Scalar::Float(f64::INFINITY)),
            "-inf" => Some(Scalar::Float(f64::NEG_INFINITY)),
            _ => t.parse::<f64>().ok().map(Scalar::Float),
        }
    };
    Some(match ty {
        Type::Bool => Arg::Bool(boolean?),
        Type::Int => Arg::Int(number(text)?.to_i64()),
        Type::Float => Arg::Float(number(text)?.to_f64()),
        Type::Scalar => Arg::Scalar(match boolean {
            Some(b) => Scalar::Bool(b),
            None => number(text)?,
        }),
        Type::Ints(n) => match text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            Some(list) => Arg::Ints(
                list.split(',')
                    .filter(|t| !t.trim().is_empty())
                    .map(|t| number(t).map(Scalar::to_i64))
                    .collect::<Option<_>>()?,
            ),
            None => Arg::Ints(SmallVec::from_elem(
                number(text)?.to_i64(),
                n.unwrap_or(1) as usize,
            )),
        },
        Type::Str => Arg::Str(text.trim_matches(|c| c == '"' || c == '\'').to_string()),
        Type::DType => Arg::DType(DType::from_name(text)?),
        Type::Device => Arg::Device(Device::parse(text).ok()?),
        Type::MemoryFormat => Arg::MemoryFormat(match text {
            "contiguous_format" => MemoryFormat::Contiguous,
            _ => MemoryFormat::Preserve,
        }),
        Type::Floats if text == "[]" => Arg::Floats(Vec::new()),
        _ => return None,
    })
}

/// Splits at commas outside brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut out) = (0, 0, Vec::new());
    for (i, c) in text.char_indices() {
        match c {
            '[' | '(' => depth += 1,
            ']' | ')' => depth -= 1,
            ',' if depth == 0 => {
                out.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    out.push(&text[start..]);
    out
}

impl Signature {
    /// Parses `(params) -> returns`; `None` where the text is not in the grammar (a unit test parses every row).
    pub fn parse(text: &str) -> Option<Signature> {
        let (params, returns) = text.rsplit_once("->")?;
        let body = params.trim().strip_prefix('(')?.strip_suffix(')')?.trim();
        let mut out = Signature {
            params: Vec::new(),
            positional: 0,
            returns: returns.trim().to_string(),
        };
        let mut keyword_only = false;
        for part in if body.is_empty() {
            Vec::new()
        } else {
            split(body)
        } {
            let part = part.trim();
            if part == "*" {
                keyword_only = true;
                continue;
            }
            let (ty, rest) = part.split_once(' ')?;
            let (name, value) = match rest.split_once('=') {
                Some((n, v)) => (n.trim(), Some(v.trim())),
                None => (rest.trim(), None),
            };
            let (ty, optional) = match ty.strip_suffix('?') {
                Some(t) => (Type::parse(t)?, true),
                None => (Type::parse(ty)?, false),
            };
            let arg = match value {
                Some(v) => Some(default(ty, v)?),
                None => None,
            };
            if !keyword_only {
                out.positional += 1;
            }
            out.params.push(Param {
                name: name.to_string(),
                ty,
                optional: optional || matches!(arg, Some(Arg::None)),
                default: arg,
                default_text: value.unwrap_or("").to_string(),
                keyword_only,
            });
        }
        Some(out)
    }
}
