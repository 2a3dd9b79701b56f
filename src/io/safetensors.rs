//! The safetensors format: a JSON header that places named tensors in one block of bytes.
//!
//! Eight bytes of header length (little-endian), the header, the block. The header maps each name to its dtype, shape
//! and byte range; `__metadata__` maps strings to strings. Ranges may neither overlap nor leave gaps.

use super::json::{self, Json};
use crate::dtype::DType;
use crate::error::{Error, Result};
use std::ops::Range;

/// The largest header that is read, as in the format's reference implementation.
const MAX_HEADER: u64 = 100_000_000;

const NAMES: [(&str, DType); 15] = [
    ("BOOL", DType::Bool),
    ("U8", DType::U8),
    ("I8", DType::I8),
    ("I16", DType::I16),
    ("I32", DType::I32),
    ("I64", DType::I64),
    ("U16", DType::U16),
    ("U32", DType::U32),
    ("U64", DType::U64),
    ("F16", DType::F16),
    ("BF16", DType::BF16),
    ("F32", DType::F32),
    ("F64", DType::F64),
    ("C64", DType::C64),
    ("C128", DType::C128),
];

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<usize>,
    /// Where its bytes lie, from the start of the file.
    pub range: Range<usize>,
}

/// What a header says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header {
    pub entries: Vec<Entry>,
    pub metadata: Vec<(String, String)>,
}

fn bad(what: impl std::fmt::Display) -> Error {
    crate::err!(Value, "Error while deserializing header: {what}")
}

/// Reads the header of a file of which `start` is the beginning and `total` the size in bytes.
pub fn read(start: &[u8], total: usize) -> Result<Header> {
    let length = start
        .first_chunk::<8>()
        .ok_or_else(|| bad("header too small"))?;
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER {
        return Err(bad("header too large"));
    }
    let begin = 8 + length as usize;
    let text = start
        .get(8..begin)
        .ok_or_else(|| bad("invalid header length: the file is truncated"))?;
    let text = std::str::from_utf8(text).map_err(|_| bad("invalid UTF-8 in header"))?;
    let Json::Object(fields) = json::parse(text)? else {
        return Err(bad("the header is no JSON object"));
    };
    let mut header = Header::default();
    for (name, value) in fields {
        let Json::Object(value) = value else {
            return Err(bad(format_args!("{name:?} is no JSON object")));
        };
        if name == "__metadata__" {
            for (key, value) in value {
                let Json::Text(value) = value else {
                    return Err(bad("metadata values must be strings"));
                };
                header.metadata.push((key, value));
            }
            continue;
        }
        header.entries.push(entry(name, &value, begin, total)?);
    }
    header.entries.sort_by_key(|e| (e.range.start, e.range.end));
    let mut at = begin;
    for e in &header.entries {
        if e.range.start != at {
            return Err(bad(format_args!(
                "tensor {:?} overlaps another one or leaves a gap",
                e.name
            )));
        }
        at = e.range.end;
    }
    if at != total {
        return Err(bad(format_args!(
            "the header describes {at} bytes, the file has {total}"
        )));
    }
    Ok(header)
}

fn entry(name: String, fields: &[(String, Json)], begin: usize, total: usize) -> Result<Entry> {
    let field = |key: &str| fields.iter().find(|(k, _)| k == key).map(|(_, v)| v);
    let numbers = |v: Option<&Json>| -> Option<Vec<usize>> {
        let Some(Json::List(items)) = v else {
            return None;
        };
        items
            .iter()
            .map(|i| {
                if let Json::Number(n) = i {
                    usize::try_from(*n).ok()
                } else {
                    None
                }
            })
            .collect()
    };
    let Some(Json::Text(code)) = field("dtype") else {
        return Err(bad(format_args!("tensor {name:?} has no dtype")));
    };
    let dtype = NAMES.iter().find(|(n, _)| n == code).map(|&(_, d)| d);
    let dtype = dtype.ok_or_else(|| {
        bad(format_args!(
            "tensor {name:?} has dtype {code}, which is not supported"
        ))
    })?;
    let shape = numbers(field("shape"))
        .ok_or_else(|| bad(format_args!("tensor {name:?} has no valid shape")))?;
    let offsets = numbers(field("data_offsets"));
    let Some(&[from, to]) = offsets.as_deref() else {
        return Err(bad(format_args!(
            "tensor {name:?} has no valid data_offsets"
        )));
    };
    let range = (begin.checked_add(from))
        .zip(begin.checked_add(to))
        .filter(|&(a, b)| a <= b && b <= total);
    let (start, end) = range.ok_or_else(|| {
        bad(format_args!(
            "the bytes of tensor {name:?} lie outside of the file"
        ))
    })?;
    let bytes = shape
        .iter()
        .try_fold(dtype.size(), |n, &d| n.checked_mul(d));
    if bytes != Some(end - start) {
        return Err(bad(format_args!(
            "tensor {name:?} of shape {shape:?} and dtype {code} does not fit its {} bytes",
            end - start
        )));
    }
    Ok(Entry {
        name,
        dtype,
        shape,
        range: start..end,
    })
}

/// A tensor to be written: its name, dtype, shape and contiguous bytes.
pub type Source<'a> = (&'a str, DType, &'a [usize], &'a [u8]);

/// The header bytes of a file and the order in which the tensors' bytes have to follow.
///
/// Wide dtypes come first, so that every tensor is aligned.
pub fn layout(
    tensors: &[Source<'_>],
    metadata: &[(String, String)],
) -> Result<(Vec<u8>, Vec<usize>)> {
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    order.sort_by(|&a, &b| {
        tensors[b]
            .1
            .size()
            .cmp(&tensors[a].1.size())
            .then(tensors[a].0.cmp(tensors[b].0))
    });
    let mut text = String::from("{");
    if !metadata.is_empty() {
        let pairs: Vec<String> = metadata
            .iter()
            .map(|(k, v)| format!("{}:{}", json::quote(k), json::quote(v)))
            .collect();
        text += &format!("\"__metadata__\":{{{}}}", pairs.join(","));
    }
    let mut at = 0;
    let mut last = None;
    for &i in &order {
        let (name, dtype, shape, bytes) = tensors[i];
        crate::check!(
            last != Some(name) && name != "__metadata__",
            Value,
            "the name {name:?} can not be used twice"
        );
        last = Some(name);
        let numel: usize = shape.iter().product();
        crate::check!(
            bytes.len() == numel * dtype.size(),
            Runtime,
            "tensor {name:?} has {} bytes, its shape {shape:?} wants {}",
            bytes.len(),
            numel * dtype.size()
        );
        let code = NAMES
            .iter()
            .find(|(_, d)| *d == dtype)
            .map_or("", |(n, _)| n);
        if text.len() > 1 {
            text.push(',');
        }
        let end = at + bytes.len();
        text += &format!(
            "{}:{{\"dtype\":\"{code}\",\"shape\":{shape:?},\"data_offsets\":[{at},{end}]}}",
            json::quote(name)
        );
        at = end;
    }
    text.push('}');
    // Spaces behind the header keep the block aligned to eight bytes.
    text += &" ".repeat(text.len().next_multiple_of(8) - text.len());
    let mut head = (text.len() as u64).to_le_bytes().to_vec();
    head.extend(text.as_bytes());
    Ok((head, order))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: usize) -> Result<Header> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        read(&bytes, bytes.len() + data)
    }

    #[test]
    fn what_is_written_is_read() {
        let meta = [("format".to_owned(), "pt \"q\"\n".to_owned())];
        let sources: [Source<'_>; 2] = [
            ("a\\b", DType::U8, &[3], &[1, 2, 3]),
            ("w", DType::F32, &[], &[0; 4]),
        ];
        let (head, order) = layout(&sources, &meta).unwrap();
        assert_eq!(order, [1, 0]);
        assert_eq!(head.len() % 8, 0);
        let header = read(&head, head.len() + 7).unwrap();
        assert_eq!(header.metadata, meta);
        assert_eq!(header.entries[0].name, "w");
        assert_eq!(header.entries[1].range, head.len() + 4..head.len() + 7);
    }

    #[test]
    fn ranges_must_tile_the_file() {
        let one = |a, b| {
            format!(
                r#"{{"x":{{"dtype":"U8","shape":[{}],"data_offsets":[{a},{b}]}}}}"#,
                b - a
            )
        };
        assert!(file(&one(0, 4), 4).is_ok());
        assert!(file(&one(0, 4), 3).is_err());
        assert!(file(&one(0, 4), 5).is_err());
        assert!(file(&one(1, 4), 4).is_err());
    }

    #[test]
    fn hostile_headers_are_refused() {
        for header in [
            "",
            "{",
            "[]",
            "{\"a\":1}",
            "{\"a\":{}}",
            "{\"a\":{},\"a\":{}}",
            "\"\\ud800\"",
            "{\"\\u12\":1}",
        ] {
            assert!(file(header, 0).is_err(), "{header}");
        }
        assert!(file(&"[".repeat(100_000), 0).is_err());
        let shape =
            r#"{"x":{"dtype":"F64","shape":[4294967296,4294967296,8],"data_offsets":[0,0]}}"#;
        assert!(file(shape, 0).is_err());
        assert!(read(&u64::MAX.to_le_bytes(), 8).is_err());
        assert!(read(b"abc", 3).is_err());
    }
}
