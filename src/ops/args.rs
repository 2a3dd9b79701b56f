//! What an op is called with and what it gives back, independent of Python.

use crate::device::Device;
use crate::dtype::DType;
use crate::random::Generator;
use crate::scalar::Scalar;
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::sync::{Arc, Mutex};

/// The order of axes in memory that a caller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryFormat {
    Contiguous,
    Preserve,
    ChannelsLast,
    ChannelsLast3d,
}

pub type GeneratorHandle = Arc<Mutex<Generator>>;

/// One parsed argument. `None` stands for a missing optional one.
#[derive(Clone)]
pub enum Arg {
    None,
    Tensor(Tensor),
    Tensors(Vec<Tensor>),
    OptTensors(Vec<Option<Tensor>>),
    Int(i64),
    Ints(SmallVec<[i64; 6]>),
    Float(f64),
    Floats(Vec<f64>),
    Bool(bool),
    Bools(Vec<bool>),
    Scalar(Scalar),
    Scalars(Vec<Scalar>),
    DType(DType),
    Device(Device),
    Str(String),
    MemoryFormat(MemoryFormat),
    Generator(GeneratorHandle),
}

/// The arguments of one call, by position in the schema. The parser has checked their types, so the getters' fallbacks
/// are never seen.
pub struct Args<'a>(pub &'a [Arg]);

thread_local! {
    static NOTHING: Tensor = {
        // SAFETY: no element is reachable through a size of zero.
        let storage = crate::storage::Storage::new(0);
        match storage {
            Ok(s) => unsafe {
                Tensor::from_parts(s, 0, SmallVec::from_slice(&[0]), SmallVec::from_slice(&[1]), DType::F32)
            },
            Err(e) => panic!("{e}"),
        }
    };
}

impl Args<'_> {
    #[inline]
    pub fn get(&self, i: usize) -> &Arg {
        self.0.get(i).unwrap_or(&Arg::None)
    }
    #[inline]
    pub fn given(&self, i: usize) -> bool {
        !matches!(self.get(i), Arg::None)
    }
    /// The tensor at `i`.
    #[inline]
    pub fn tensor(&self, i: usize) -> Tensor {
        match self.get(i) {
            Arg::Tensor(t) => t.clone(),
            _ => NOTHING.with(|t| t.clone()),
        }
    }
    #[inline]
    pub fn opt_tensor(&self, i: usize) -> Option<&Tensor> {
        match self.get(i) {
            Arg::Tensor(t) => Some(t),
            _ => None,
        }
    }
    pub fn tensors(&self, i: usize) -> &[Tensor] {
        match self.get(i) {
            Arg::Tensors(t) => t,
            Arg::Tensor(t) => std::slice::from_ref(t),
            _ => &[],
        }
    }
    pub fn opt_tensors(&self, i: usize) -> &[Option<Tensor>] {
        match self.get(i) {
            Arg::OptTensors(t) => t,
            _ => &[],
        }
    }
    #[inline]
    pub fn int(&self, i: usize) -> i64 {
        self.opt_int(i).unwrap_or(0)
    }
    #[inline]
    pub fn opt_int(&self, i: usize) -> Option<i64> {
        match self.get(i) {
            Arg::Int(v) => Some(*v),
            Arg::Bool(v) => Some(*v as i64),
            Arg::Scalar(v) => Some(v.to_i64()),
            _ => None,
        }
    }
    pub fn ints(&self, i: usize) -> &[i64] {
        self.opt_ints(i).unwrap_or(&[])
    }
    pub fn opt_ints(&self, i: usize) -> Option<&[i64]> {
        match self.get(i) {
            Arg::Ints(v) => Some(v),
            Arg::Int(v) => Some(std::slice::from_ref(v)),
            _ => None,
        }
    }
    #[inline]
    pub fn float(&self, i: usize) -> f64 {
        self.opt_float(i).unwrap_or(0.0)
    }
    pub fn opt_float(&self, i: usize) -> Option<f64> {
        match self.get(i) {
            Arg::Float(v) => Some(*v),
            Arg::Int(v) => Some(*v as f64),
            Arg::Scalar(v) => Some(v.to_f64()),
            _ => None,
        }
    }
    pub fn floats(&self, i: usize) -> &[f64] {
        match self.get(i) {
            Arg::Floats(v) => v,
            _ => &[],
        }
    }
    pub fn opt_floats(&self, i: usize) -> Option<&[f64]> {
        match self.get(i) {
            Arg::Floats(v) => Some(v),
            _ => None,
        }
    }
    #[inline]
    pub fn bool(&self, i: usize) -> bool {
        self.opt_bool(i).unwrap_or(false)
    }
    pub fn opt_bool(&self, i: usize) -> Option<bool> {
        match self.get(i) {
            Arg::Bool(v) => Some(*v),
            Arg::Int(v) => Some(*v != 0),
            _ => None,
        }
    }
    pub fn bools(&self, i: usize) -> &[bool] {
        match self.get(i) {
            Arg::Bools(v) => v,
            _ => &[],
        }
    }
    pub fn scalar(&self, i: usize) -> Scalar {
        self.opt_scalar(i).unwrap_or(Scalar::Int(0))
    }
    pub fn opt_scalar(&self, i: usize) -> Option<Scalar> {
        match self.get(i) {
            Arg::Scalar(v) => Some(*v),
            Arg::Int(v) => Some(Scalar::Int(*v)),
            Arg::Float(v) => Some(Scalar::Float(*v)),
            Arg::Bool(v) => Some(Scalar::Bool(*v)),
            _ => None,
        }
    }
    pub fn scalars(&self, i: usize) -> &[Scalar] {
        match self.get(i) {
            Arg::Scalars(v) => v,
            _ => &[],
        }
    }
    pub fn dtype(&self, i: usize) -> Option<DType> {
        match self.get(i) {
            Arg::DType(v) => Some(*v),
            _ => None,
        }
    }
    pub fn device(&self, i: usize) -> Option<Device> {
        match self.get(i) {
            Arg::Device(v) => Some(*v),
            _ => None,
        }
    }
    pub fn str(&self, i: usize) -> &str {
        self.opt_str(i).unwrap_or("")
    }
    pub fn opt_str(&self, i: usize) -> Option<&str> {
        match self.get(i) {
            Arg::Str(v) => Some(v),
            _ => None,
        }
    }
    pub fn memory_format(&self, i: usize) -> Option<MemoryFormat> {
        match self.get(i) {
            Arg::MemoryFormat(v) => Some(*v),
            _ => None,
        }
    }
    pub fn generator(&self, i: usize) -> Option<GeneratorHandle> {
        match self.get(i) {
            Arg::Generator(v) => Some(v.clone()),
            _ => None,
        }
    }
}

/// What an op returns.
#[derive(Clone)]
pub enum Value {
    None,
    Tensor(Tensor),
    OptTensor(Option<Tensor>),
    /// A Python list of tensors.
    List(Vec<Tensor>),
    /// A Python tuple of tensors.
    Tuple(Vec<Tensor>),
    /// `torch.return_types.<name>` with named fields.
    Named(&'static str, &'static [&'static str], Vec<Tensor>),
    /// As `Named`, of mixed values.
    NamedValues(&'static str, &'static [&'static str], Vec<Value>),
    /// A tuple of mixed values.
    Values(Vec<Value>),
    Bool(bool),
    Int(i64),
    Float(f64),
    Scalar(Scalar),
    /// `torch.Size`
    Size(Vec<i64>),
    /// A tuple of ints.
    Ints(Vec<i64>),
    DType(DType),
    Str(String),
}

impl From<Tensor> for Value {
    fn from(t: Tensor) -> Value {
        Value::Tensor(t)
    }
}
impl From<bool> for Value {
    fn from(v: bool) -> Value {
        Value::Bool(v)
    }
}
impl From<i64> for Value {
    fn from(v: i64) -> Value {
        Value::Int(v)
    }
}
impl From<f64> for Value {
    fn from(v: f64) -> Value {
        Value::Float(v)
    }
}
impl From<Scalar> for Value {
    fn from(v: Scalar) -> Value {
        Value::Scalar(v)
    }
}
impl From<DType> for Value {
    fn from(v: DType) -> Value {
        Value::DType(v)
    }
}
impl From<()> for Value {
    fn from(_: ()) -> Value {
        Value::None
    }
}
impl From<Vec<Tensor>> for Value {
    fn from(v: Vec<Tensor>) -> Value {
        Value::Tuple(v)
    }
}
impl From<(Tensor, Tensor)> for Value {
    fn from((a, b): (Tensor, Tensor)) -> Value {
        Value::Tuple(vec![a, b])
    }
}
impl From<(Tensor, Tensor, Tensor)> for Value {
    fn from((a, b, c): (Tensor, Tensor, Tensor)) -> Value {
        Value::Tuple(vec![a, b, c])
    }
}

impl Value {
    /// The tensors inside, in order.
    pub fn tensors(&self) -> Vec<Tensor> {
        match self {
            Value::Tensor(t) => vec![t.clone()],
            Value::OptTensor(t) => t.iter().cloned().collect(),
            Value::List(v) | Value::Tuple(v) | Value::Named(_, _, v) => v.clone(),
            Value::NamedValues(_, _, v) | Value::Values(v) => {
                v.iter().flat_map(|v| v.tensors()).collect()
            }
            _ => Vec::new(),
        }
    }
}
