//! The names of the checkpoint format: what a global in the stream stands for.

use super::graph::Node;
use crate::dtype::DType;

/// Storage classes by dtype.
pub(super) const STORAGES: [(&str, DType); 12] = [
    ("FloatStorage", DType::F32),
    ("DoubleStorage", DType::F64),
    ("HalfStorage", DType::F16),
    ("BFloat16Storage", DType::BF16),
    ("LongStorage", DType::I64),
    ("IntStorage", DType::I32),
    ("ShortStorage", DType::I16),
    ("CharStorage", DType::I8),
    ("ByteStorage", DType::U8),
    ("BoolStorage", DType::Bool),
    ("ComplexFloatStorage", DType::C64),
    ("ComplexDoubleStorage", DType::C128),
];

const BUILTINS: [&str; 2] = ["builtins", "__builtin__"];

/// Functions and classes that `rebuild` understands.
const KNOWN: [(&str, &str); 16] = [
    ("collections", "OrderedDict"),
    ("collections", "Counter"),
    ("_codecs", "encode"),
    ("torch", "Size"),
    ("torch", "device"),
    ("torch", "Tensor"),
    ("torch.nn.parameter", "Parameter"),
    ("torch.storage", "UntypedStorage"),
    ("torch", "UntypedStorage"),
    ("torch.serialization", "_get_layout"),
    ("torch._utils", "_rebuild_tensor"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_tensor_v3"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch._utils", "_rebuild_parameter_with_state"),
    ("torch._tensor", "_rebuild_from_type_v2"),
];

/// Classes of the builtins that are data.
const DATA: [&str; 7] = [
    "set",
    "frozenset",
    "bytearray",
    "complex",
    "bytes",
    "list",
    "dict",
];

/// What a global name stands for: a dtype, or just its name.
pub(super) fn global(module: String, name: String) -> Node {
    match DType::from_name(&name) {
        Some(d) if module == "torch" => Node::DType(d),
        _ => Node::Global { module, name },
    }
}

/// Whether a global belongs to the checkpoint format.
pub(super) fn is_known(module: &str, name: &str) -> bool {
    KNOWN.contains(&(module, name))
        || (BUILTINS.contains(&module) && DATA.contains(&name))
        || (module == "torch" && STORAGES.iter().any(|&(n, _)| n == name))
}
