//! The constructors of the checkpoint format: what `REDUCE` and persistent ids mean for the names PyTorch writes.

use super::graph::{Construct, DictKind, Id, Node, StorageInfo, TensorNode};
use super::names::{STORAGES, is_known};
use super::pickle::Machine;
use crate::error::{Error, Result};

fn malformed(what: &str) -> Error {
    crate::err!(
        Unpickling,
        "Weights only load failed. The checkpoint is corrupt: the arguments of {what} are malformed"
    )
}

impl Machine<'_> {
    /// The arguments of a call, as a tuple's items.
    fn args(&mut self, args: Id) -> Result<Vec<Id>> {
        let Node::Tuple(items) = self.graph.node(args) else {
            return Err(malformed("a constructor"));
        };
        let items = items.clone();
        self.charge(items.len())?;
        Ok(items)
    }

    /// The items of a list, tuple or set.
    fn sequence(&mut self, id: Id) -> Option<Vec<Id>> {
        match self.graph.node(id) {
            Node::List(v) | Node::Tuple(v) | Node::Set(v) | Node::FrozenSet(v) => {
                let v = v.clone();
                self.charge(v.len()).ok().map(|_| v)
            }
            _ => None,
        }
    }

    fn text_of(&self, id: Id) -> Option<&str> {
        match self.graph.node(id) {
            Node::Str(s) => Some(s),
            _ => None,
        }
    }

    fn int_of(&self, id: Id) -> Option<i64> {
        match self.graph.node(id) {
            Node::Int(i) => Some(*i),
            _ => None,
        }
    }

    fn bool_of(&self, id: Id) -> Option<bool> {
        match self.graph.node(id) {
            Node::Bool(b) => Some(*b),
            Node::Int(i) => Some(*i != 0),
            _ => None,
        }
    }

    fn float_of(&self, id: Id) -> Option<f64> {
        match self.graph.node(id) {
            Node::Float(x) => Some(*x),
            Node::Int(i) => Some(*i as f64),
            _ => None,
        }
    }

    fn ints_of(&mut self, id: Id) -> Option<Vec<i64>> {
        if let Node::Size(s) = self.graph.node(id) {
            return Some(s.clone());
        }
        let items = self.sequence(id)?;
        items.into_iter().map(|i| self.int_of(i)).collect()
    }

    /// The node for `class(*args)`.
    pub(super) fn construct(&mut self, class: Id, how: Construct, args: Id) -> Result<Node> {
        let Node::Global { module, name } = self.graph.node(class) else {
            return Err(self.refused(class, "it is no class"));
        };
        let (module, name) = (module.clone(), name.clone());
        if !is_known(&module, &name) {
            if !matches!(self.graph.node(args), Node::Tuple(_)) {
                return Err(malformed("a constructor"));
            }
            return Ok(Node::Object {
                class,
                how,
                args,
                state: None,
            });
        }
        let items = self.args(args)?;
        let node = self.known(&module, &name, &items)?;
        self.solvent()?;
        node.ok_or_else(|| malformed(&format!("{module}.{name}")))
    }

    /// A call of the checkpoint format; `None` where the arguments make no sense.
    fn known(&mut self, module: &str, name: &str, args: &[Id]) -> Result<Option<Node>> {
        Ok(match (name, args) {
            ("OrderedDict" | "Counter" | "dict", _) => self.mapping(name, args),
            ("list", []) => Some(Node::List(Vec::new())),
            ("list", &[a]) => self.sequence(a).map(Node::List),
            ("set", []) => Some(Node::Set(Vec::new())),
            ("set", &[a]) => self.sequence(a).map(Node::Set),
            ("frozenset", []) => Some(Node::FrozenSet(Vec::new())),
            ("frozenset", &[a]) => self.sequence(a).map(Node::FrozenSet),
            ("complex", &[re, im]) => self
                .float_of(re)
                .zip(self.float_of(im))
                .map(|(re, im)| Node::Complex(re, im)),
            ("bytes", []) => Some(Node::Bytes(Vec::new())),
            ("bytearray", []) => Some(Node::ByteArray(Vec::new())),
            ("bytearray", &[a]) => match self.graph.node(a) {
                Node::Bytes(b) => {
                    let b = b.clone();
                    self.charge(b.len())?;
                    Some(Node::ByteArray(b))
                }
                _ => None,
            },
            ("encode", [text, coding @ ..]) => self.encode(*text, coding)?,
            ("Size", &[a]) => self.ints_of(a).map(Node::Size),
            ("Size", []) => Some(Node::Size(Vec::new())),
            ("device", &[a]) => self.text_of(a).map(|s| Node::Device(s.to_owned())),
            ("device", &[a, i]) => self
                .text_of(a)
                .zip(self.int_of(i))
                .map(|(s, i)| Node::Device(format!("{s}:{i}"))),
            ("_get_layout", &[a]) => self.text_of(a).map(|s| Node::Layout(s.to_owned())),
            ("Parameter", &[a]) => self.parameter(a, true, None),
            ("Parameter" | "_rebuild_parameter", &[a, grad])
            | ("_rebuild_parameter", &[a, grad, _]) => {
                self.bool_of(grad).and_then(|g| self.parameter(a, g, None))
            }
            ("_rebuild_parameter_with_state", &[a, grad, _, state]) => self
                .bool_of(grad)
                .and_then(|g| self.parameter(a, g, Some(state))),
            ("_rebuild_from_type_v2", &[function, class, inner, state]) => {
                return self.typed(function, class, inner, state);
            }
            (n, _) if n.starts_with("_rebuild_tensor") => self.tensor(n, args)?,
            _ => {
                return Err(crate::err!(
                    Unpickling,
                    "Weights only load failed. Unsupported call: {module}.{name} with {} arguments",
                    args.len()
                ));
            }
        })
    }

    fn mapping(&mut self, name: &str, args: &[Id]) -> Option<Node> {
        let kind = match name {
            "OrderedDict" => DictKind::Ordered,
            "Counter" => DictKind::Counter,
            _ => DictKind::Plain,
        };
        let items = match *args {
            [] => Vec::new(),
            [source] => match self.graph.node(source) {
                Node::Dict { items, .. } => {
                    let items = items.clone();
                    self.charge(items.len()).ok()?;
                    items
                }
                _ => {
                    let entries = self.sequence(source)?;
                    let mut items = Vec::with_capacity(entries.len());
                    for e in entries {
                        match self.sequence(e)?[..] {
                            [k, v] => items.push((k, v)),
                            _ => return None,
                        }
                    }
                    items
                }
            },
            _ => return None,
        };
        Some(Node::Dict {
            kind,
            items,
            attributes: None,
        })
    }

    /// `_codecs.encode(text, 'latin1')`, which is how protocol 2 spells bytes.
    fn encode(&mut self, text: Id, coding: &[Id]) -> Result<Option<Node>> {
        let latin = match *coding {
            [c] => matches!(self.text_of(c), Some("latin1" | "latin-1")),
            _ => false,
        };
        let Some(s) = self.text_of(text).filter(|_| latin) else {
            return Ok(None);
        };
        let n = s.len();
        let raw: Option<Vec<u8>> = s.chars().map(|c| u8::try_from(c as u32).ok()).collect();
        self.charge(n)?;
        Ok(raw.map(Node::Bytes))
    }

    /// `_rebuild_tensor(storage, offset, size, stride[, requires_grad, hooks[, dtype | metadata]])`.
    fn tensor(&mut self, name: &str, args: &[Id]) -> Result<Option<Node>> {
        let &[storage, offset, size, stride, ref rest @ ..] = args else {
            return Ok(None);
        };
        let (&Node::Storage(storage), Some(offset)) =
            (self.graph.node(storage), self.int_of(offset))
        else {
            return Ok(None);
        };
        let (Some(size), Some(stride)) = (self.ints_of(size), self.ints_of(stride)) else {
            return Ok(None);
        };
        self.charge(size.len() + stride.len())?;
        let requires_grad = rest.first().is_some_and(|&g| self.bool_of(g) == Some(true));
        let (dtype, meta) = if name.ends_with("_v3") {
            let Some(&d) = rest.get(2) else {
                return Ok(None);
            };
            match self.graph.node(d) {
                Node::DType(d) => (Some(*d), rest.get(3)),
                Node::Global { module, name } => {
                    crate::bail!(
                        Unpickling,
                        "Weights only load failed. Tensors of dtype {module}.{name} are not supported"
                    )
                }
                _ => return Ok(None),
            }
        } else {
            (self.graph.storages[storage as usize].dtype, rest.get(2))
        };
        let Some(dtype) = dtype else { return Ok(None) };
        let node = TensorNode {
            storage,
            dtype,
            offset,
            size,
            stride,
            requires_grad,
            conj: self.flag(meta, "conj"),
            neg: self.flag(meta, "neg"),
            parameter: false,
            attributes: None,
        };
        let (_, need) = node.extent()?;
        let have = self.graph.storages[storage as usize].bytes;
        crate::check!(
            need <= have,
            Unpickling,
            "Weights only load failed. The checkpoint is corrupt: setStorage: sizes {:?}, strides {:?}, storage offset \
             {offset} require a storage size of {need} bytes, but storage {:?} has {have}",
            node.size,
            node.stride,
            self.graph.storages[storage as usize].key
        );
        Ok(Some(Node::Tensor(node)))
    }

    /// Whether the metadata dictionary of a tensor sets a flag.
    fn flag(&self, meta: Option<&Id>, name: &str) -> bool {
        let Some(Node::Dict { items, .. }) = meta.map(|&m| self.graph.node(m)) else {
            return false;
        };
        items
            .iter()
            .any(|&(k, v)| self.text_of(k) == Some(name) && self.bool_of(v) == Some(true))
    }

    fn parameter(&mut self, data: Id, requires_grad: bool, state: Option<Id>) -> Option<Node> {
        let Node::Tensor(t) = self.graph.node(data) else {
            return None;
        };
        let t = TensorNode {
            requires_grad,
            parameter: true,
            attributes: state.or(t.attributes),
            ..t.clone()
        };
        Some(Node::Tensor(t))
    }

    /// A tensor with attributes: `_rebuild_from_type_v2(function, class, args, state)`.
    fn typed(&mut self, function: Id, class: Id, inner: Id, state: Id) -> Result<Option<Node>> {
        match self.graph.node(class) {
            Node::Global { name, .. } if name == "Tensor" || name == "Parameter" => {}
            _ => {
                return Err(self.refused(
                    class,
                    "it is a subclass of Tensor; save `tensor.as_subclass(torch.Tensor)`",
                ));
            }
        }
        // Only the plain rebuilding functions, so that this never nests.
        match self.graph.node(function) {
            Node::Global { name, .. }
                if name.starts_with("_rebuild_tensor")
                    || name.starts_with("_rebuild_parameter") => {}
            _ => return Ok(None),
        }
        Ok(match self.construct(function, Construct::Call, inner)? {
            Node::Tensor(t) => Some(Node::Tensor(TensorNode {
                attributes: Some(state),
                ..t
            })),
            _ => None,
        })
    }

    /// The storage behind a persistent id `('storage', class, key, location, numel[, view])`.
    pub(super) fn persistent(&mut self, id: Id) -> Result<Node> {
        let bad = || malformed("a persistent id");
        let items = self.sequence(id).ok_or_else(bad)?;
        let (&[tag, class, key, location, numel], view) = match items.len() {
            5 => (items[..].first_chunk::<5>().ok_or_else(bad)?, None),
            6 => (
                items[..].first_chunk::<5>().ok_or_else(bad)?,
                items.last().copied(),
            ),
            _ => return Err(bad()),
        };
        if self.text_of(tag) != Some("storage") {
            crate::bail!(
                Unpickling,
                "Weights only load failed. Only storages are expected as persistent ids"
            );
        }
        if view.is_some_and(|v| *self.graph.node(v) != Node::None) {
            crate::bail!(
                Unpickling,
                "Weights only load failed. Storages that are views of storages (files of PyTorch before 0.4) are not \
                 supported"
            );
        }
        let dtype = match self.graph.node(class) {
            Node::Global { name, .. } if name == "UntypedStorage" => None,
            Node::Global { module, name } => match STORAGES.iter().find(|(n, _)| n == name) {
                Some(&(_, d)) => Some(d),
                None => crate::bail!(
                    Unpickling,
                    "Weights only load failed. Unsupported storage class {module}.{name}"
                ),
            },
            _ => return Err(bad()),
        };
        let key = self.text_of(key).ok_or_else(bad)?.to_owned();
        let location = self.text_of(location).ok_or_else(bad)?.to_owned();
        self.charge(key.len() + location.len())?;
        let numel = self
            .int_of(numel)
            .and_then(|n| u64::try_from(n).ok())
            .ok_or_else(bad)?;
        let bytes = numel
            .checked_mul(dtype.map_or(1, |d| d.size() as u64))
            .ok_or_else(bad)?;
        if let Some(&known) = self.storage_of.get(&key) {
            let old = &mut self.graph.storages[known as usize];
            if old.bytes != bytes {
                return Err(bad());
            }
            if old.dtype.is_none() {
                old.dtype = dtype;
            }
            return Ok(Node::Storage(known));
        }
        let index = self.graph.storage(StorageInfo {
            key: key.clone(),
            dtype,
            location,
            bytes,
        })?;
        self.storage_of.insert(key, index);
        Ok(Node::Storage(index))
    }
}
