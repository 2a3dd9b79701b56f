//! What a checkpoint holds: Python data as inert nodes.
//!
//! Nodes live in one vector and name each other by number, so shared and cyclic objects need no care, and neither
//! reading nor dropping a deeply nested file recurses. An immutable node (a tuple, a tensor, a frozen set) is always
//! behind its children in the vector; lists, dictionaries and sets may point forward.

use crate::dtype::DType;
use crate::error::Result;

/// The number of a node in its graph.
pub type Id = u32;

/// Which mapping class a dictionary node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DictKind {
    Plain,
    Ordered,
    Counter,
}

/// How an object of a foreign class is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Construct {
    /// `class(*args)`
    Call,
    /// `class.__new__(class, *args)`
    New,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// Little-endian two's complement, for integers beyond 64 bits.
    BigInt(Vec<u8>),
    Float(f64),
    Complex(f64, f64),
    Str(String),
    Bytes(Vec<u8>),
    ByteArray(Vec<u8>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    /// `attributes` is what the file sets as `__dict__` (a state dict's `_metadata`).
    Dict {
        kind: DictKind,
        items: Vec<(Id, Id)>,
        attributes: Option<Id>,
    },
    Set(Vec<Id>),
    FrozenSet(Vec<Id>),
    /// `torch.Size`
    Size(Vec<i64>),
    DType(DType),
    Device(String),
    /// The name of a layout, such as `torch.strided`.
    Layout(String),
    Tensor(TensorNode),
    /// A storage saved on its own; the number of an entry of `Graph::storages`.
    Storage(u32),
    /// A class or function of the file that is only named, never looked up here.
    Global {
        module: String,
        name: String,
    },
    /// An instance of a class named by the file; making it is up to the caller.
    Object {
        class: Id,
        how: Construct,
        args: Id,
        state: Option<Id>,
    },
}

/// A tensor as a view of a storage.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorNode {
    /// The number of an entry of `Graph::storages`.
    pub storage: u32,
    pub dtype: DType,
    /// In elements.
    pub offset: i64,
    pub size: Vec<i64>,
    /// In elements.
    pub stride: Vec<i64>,
    pub requires_grad: bool,
    pub conj: bool,
    pub neg: bool,
    pub parameter: bool,
    /// Python attributes of the tensor.
    pub attributes: Option<Id>,
}

/// A block of memory that tensors view.
#[derive(Clone, Debug, PartialEq)]
pub struct StorageInfo {
    /// The name of the record that holds the bytes.
    pub key: String,
    /// `None` for untyped storages.
    pub dtype: Option<DType>,
    /// The device tag of the file, such as `cpu` or `cuda:0`.
    pub location: String,
    pub bytes: u64,
}

/// A checkpoint without the bytes of its storages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    pub nodes: Vec<Node>,
    pub storages: Vec<StorageInfo>,
    pub root: Id,
    /// Globals the file names that are no part of the checkpoint format, in order of appearance.
    pub foreign: Vec<(String, String)>,
}

impl Graph {
    /// Adds a node and returns its number.
    pub fn push(&mut self, node: Node) -> Result<Id> {
        crate::check!(
            self.nodes.len() < u32::MAX as usize,
            Unpickling,
            "the checkpoint has too many objects"
        );
        self.nodes.push(node);
        Ok((self.nodes.len() - 1) as Id)
    }

    /// Adds a string.
    pub fn string(&mut self, s: &str) -> Result<Id> {
        self.push(Node::Str(s.to_owned()))
    }

    #[inline]
    pub fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    /// The number of the storage with this record, added where it is new.
    pub fn storage(&mut self, info: StorageInfo) -> Result<u32> {
        let index = self.storages.len();
        crate::check!(
            index < u32::MAX as usize,
            Unpickling,
            "the checkpoint has too many storages"
        );
        self.storages.push(info);
        Ok(index as u32)
    }
}

impl TensorNode {
    /// The element count and the number of storage bytes that the view needs, or an error where it makes no sense.
    pub fn extent(&self) -> Result<(u64, u64)> {
        let bad = || {
            crate::err!(
                Unpickling,
                "the checkpoint is corrupt: a tensor has size {:?}, stride {:?} and storage offset {}",
                self.size,
                self.stride,
                self.offset
            )
        };
        if self.size.len() != self.stride.len() || self.offset < 0 || self.size.len() > 64 {
            return Err(bad());
        }
        let (mut numel, mut last) = (1i64, self.offset);
        for (&n, &step) in self.size.iter().zip(&self.stride) {
            if n < 0 || step < 0 {
                return Err(bad());
            }
            numel = numel.checked_mul(n).ok_or_else(bad)?;
            let reach = (n - 1).max(0).checked_mul(step).ok_or_else(bad)?;
            last = last.checked_add(reach).ok_or_else(bad)?;
        }
        let end = if numel == 0 {
            0
        } else {
            last.checked_add(1).ok_or_else(bad)?
        };
        let bytes = end.checked_mul(self.dtype.size() as i64).ok_or_else(bad)?;
        Ok((numel as u64, bytes as u64))
    }
}
