//! Writes a graph as a pickle stream of protocol 2, with the instructions that PyTorch's restricted reader knows.

use super::graph::{DictKind, Graph, Id, Node, TensorNode};
use super::names::STORAGES;
use crate::dtype::DType;
use crate::error::Result;
use std::collections::HashMap;

/// What is left to write, innermost last: nesting costs heap, never stack.
enum Work {
    Visit(Id),
    /// Remember the object on top of the reader's stack as this node.
    Put(Id),
    Op(u8),
    /// An ordered dictionary without items (the hooks of a parameter).
    Empty,
}

struct Writer<'a> {
    graph: &'a Graph,
    out: Vec<u8>,
    /// Memo numbers of nodes, and of globals and strings of the format by their text.
    nodes: HashMap<Id, u32>,
    words: HashMap<String, u32>,
    /// Nodes whose children are being written before themselves.
    open: Vec<bool>,
    next: u32,
    /// For each storage, the dtype its class says; `None` writes it untyped.
    storage_dtype: Vec<Option<DType>>,
    todo: Vec<Work>,
}

/// The pickle stream of a graph.
pub fn write(graph: &Graph) -> Result<Vec<u8>> {
    let mut w = Writer {
        graph,
        out: vec![0x80, 2],
        nodes: HashMap::new(),
        words: HashMap::new(),
        open: vec![false; graph.nodes.len()],
        next: 0,
        storage_dtype: storage_dtypes(graph),
        todo: vec![Work::Visit(graph.root)],
    };
    while let Some(work) = w.todo.pop() {
        match work {
            Work::Visit(id) => w.visit(id)?,
            Work::Put(id) => {
                w.open[id as usize] = false;
                let key = w.put();
                w.nodes.insert(id, key);
            }
            Work::Op(op) => w.out.push(op),
            Work::Empty => w.ordered()?,
        }
    }
    w.out.push(b'.');
    Ok(w.out)
}

/// A storage has the class of its first tensor, unless no class exists for it.
fn storage_dtypes(graph: &Graph) -> Vec<Option<DType>> {
    let mut found: Vec<Option<DType>> = graph.storages.iter().map(|s| s.dtype).collect();
    for node in &graph.nodes {
        if let Node::Tensor(t) = node {
            found[t.storage as usize].get_or_insert(t.dtype);
        }
    }
    let whole = |(f, s): (Option<DType>, &super::graph::StorageInfo)| {
        f.filter(|&d| class_of(d).is_some() && s.bytes % d.size() as u64 == 0)
    };
    found.into_iter().zip(&graph.storages).map(whole).collect()
}

/// The storage class of a dtype, where PyTorch has one.
fn class_of(dtype: DType) -> Option<&'static str> {
    STORAGES
        .iter()
        .find(|&&(_, d)| d == dtype)
        .map(|&(name, _)| name)
}

impl Writer<'_> {
    fn put(&mut self) -> u32 {
        let key = self.next;
        self.next += 1;
        self.coded(key, b'q', b'r');
        key
    }

    fn get(&mut self, key: u32) {
        self.coded(key, b'h', b'j');
    }

    fn coded(&mut self, key: u32, short: u8, wide: u8) {
        match u8::try_from(key) {
            Ok(k) => self.out.extend([short, k]),
            Err(_) => {
                self.out.push(wide);
                self.out.extend(key.to_le_bytes());
            }
        }
    }

    fn text(&mut self, s: &str) -> Result<()> {
        let n = u32::try_from(s.len())
            .map_err(|_| crate::err!(Value, "strings over 4 GiB can not be saved"))?;
        self.out.push(b'X');
        self.out.extend(n.to_le_bytes());
        self.out.extend(s.as_bytes());
        Ok(())
    }

    /// A string that occurs again and again.
    fn word(&mut self, s: &str) -> Result<()> {
        if let Some(&key) = self.words.get(s) {
            self.get(key);
            return Ok(());
        }
        self.text(s)?;
        let key = self.put();
        self.words.insert(s.to_owned(), key);
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<()> {
        let line = format!("c{module}\n{name}\n");
        crate::check!(
            line.matches('\n').count() == 2,
            Value,
            "the name of a class or function can not hold a line break"
        );
        if let Some(&key) = self.words.get(&line) {
            self.get(key);
            return Ok(());
        }
        self.out.extend(line.as_bytes());
        let key = self.put();
        self.words.insert(line, key);
        Ok(())
    }

    fn ordered(&mut self) -> Result<()> {
        self.global("collections", "OrderedDict")?;
        self.out.extend(b")R");
        Ok(())
    }

    fn int(&mut self, i: i64) {
        match i {
            0..=0xff => self.out.extend([b'K', i as u8]),
            0x100..=0xffff => {
                self.out.push(b'M');
                self.out.extend((i as u16).to_le_bytes());
            }
            _ => match i32::try_from(i) {
                Ok(i) => {
                    self.out.push(b'J');
                    self.out.extend(i.to_le_bytes());
                }
                Err(_) => {
                    let raw = i.to_le_bytes();
                    // As few bytes as keep the sign.
                    let n = (1..8)
                        .find(|&n| i >> (8 * n - 1) == 0 || i >> (8 * n - 1) == -1)
                        .unwrap_or(8);
                    self.out.extend([0x8a, n as u8]);
                    self.out.extend(&raw[..n]);
                }
            },
        }
    }

    fn float(&mut self, x: f64) {
        self.out.push(b'G');
        self.out.extend(x.to_be_bytes());
    }

    fn ints(&mut self, v: &[i64]) {
        if v.len() > 3 {
            self.out.push(b'(');
        }
        v.iter().for_each(|&i| self.int(i));
        self.out.push(
            [b')', 0x85, 0x86, 0x87]
                .get(v.len())
                .copied()
                .unwrap_or(b't'),
        );
    }

    /// Plans work that is to happen in the order given.
    fn plan(&mut self, work: impl IntoIterator<Item = Work, IntoIter: DoubleEndedIterator>) {
        self.todo.extend(work.into_iter().rev());
    }

    fn visit(&mut self, id: Id) -> Result<()> {
        if let Some(&key) = self.nodes.get(&id) {
            self.get(key);
            return Ok(());
        }
        crate::check!(
            !std::mem::replace(&mut self.open[id as usize], true),
            Value,
            "an object that contains itself through a tuple, a frozenset or a class can not be saved"
        );
        let graph = self.graph;
        match graph.node(id) {
            Node::None => self.atom(id, |w| w.out.push(b'N')),
            Node::Bool(b) => self.atom(id, |w| w.out.push(0x89 - *b as u8)),
            Node::Int(i) => self.atom(id, |w| w.int(*i)),
            Node::Float(x) => self.atom(id, |w| w.float(*x)),
            Node::BigInt(raw) => self.big(id, raw)?,
            Node::Str(s) => {
                // Long text is not worth remembering by its content.
                if s.len() < 128 {
                    self.word(s)?
                } else {
                    self.text(s)?
                }
                self.open[id as usize] = false;
            }
            Node::Complex(re, im) => {
                self.global("__builtin__", "complex")?;
                self.float(*re);
                self.float(*im);
                self.out.extend([0x86, b'R']);
                self.plan([Work::Put(id)]);
            }
            Node::Bytes(raw) => {
                self.bytes(raw)?;
                self.plan([Work::Put(id)]);
            }
            Node::ByteArray(raw) => {
                self.global("__builtin__", "bytearray")?;
                self.bytes(raw)?;
                self.out.extend([0x85, b'R']);
                self.plan([Work::Put(id)]);
            }
            Node::Size(v) => {
                self.global("torch", "Size")?;
                self.ints(v);
                self.out.extend([0x85, b'R']);
                self.plan([Work::Put(id)]);
            }
            Node::DType(d) => {
                self.global("torch", d.name())?;
                self.open[id as usize] = false;
            }
            Node::Device(s) => self.call_text(id, "torch", "device", s)?,
            Node::Layout(s) => self.call_text(id, "torch.serialization", "_get_layout", s)?,
            Node::Global { module, name } => {
                self.global(module, name)?;
                self.open[id as usize] = false;
            }
            Node::Tuple(items) => {
                let close = [b')', 0x85, 0x86, 0x87].get(items.len()).copied();
                if close.is_none() {
                    self.out.push(b'(');
                }
                self.plan([Work::Op(close.unwrap_or(b't')), Work::Put(id)]);
                self.plan(items.iter().map(|&i| Work::Visit(i)));
            }
            Node::List(items) => {
                self.out.push(b']');
                self.begin(id);
                self.items(items, b'e');
            }
            Node::Dict {
                kind,
                items,
                attributes,
            } => {
                match kind {
                    DictKind::Plain => self.out.push(b'}'),
                    DictKind::Ordered => self.ordered()?,
                    DictKind::Counter => {
                        self.global("collections", "Counter")?;
                        self.out.extend(b")R");
                    }
                }
                self.begin(id);
                if let Some(a) = attributes {
                    self.plan([Work::Visit(*a), Work::Op(b'b')]);
                }
                let flat: Vec<Id> = items.iter().flat_map(|&(k, v)| [k, v]).collect();
                self.items(&flat, b'u');
            }
            Node::Set(items) => self.set(id, "set", items)?,
            Node::FrozenSet(items) => self.set(id, "frozenset", items)?,
            Node::Storage(s) => {
                self.storage(*s)?;
                self.plan([Work::Put(id)]);
            }
            Node::Tensor(t) => self.tensor(id, t)?,
            Node::Object {
                class,
                how,
                args,
                state,
            } => {
                let op = if *how == super::graph::Construct::New {
                    0x81
                } else {
                    b'R'
                };
                if let Some(s) = state {
                    self.plan([Work::Visit(*s), Work::Op(b'b')]);
                }
                self.plan([
                    Work::Visit(*class),
                    Work::Visit(*args),
                    Work::Op(op),
                    Work::Put(id),
                ]);
            }
        }
        Ok(())
    }

    /// A value that is written again each time.
    fn atom(&mut self, id: Id, emit: impl FnOnce(&mut Self)) {
        emit(self);
        self.open[id as usize] = false;
    }

    /// A container is remembered before its items, which may name it.
    fn begin(&mut self, id: Id) {
        self.open[id as usize] = false;
        let key = self.put();
        self.nodes.insert(id, key);
    }

    fn items(&mut self, items: &[Id], close: u8) {
        if !items.is_empty() {
            self.out.push(b'(');
            self.plan([Work::Op(close)]);
            self.plan(items.iter().map(|&i| Work::Visit(i)));
        }
    }

    fn set(&mut self, id: Id, class: &str, items: &[Id]) -> Result<()> {
        self.global("__builtin__", class)?;
        self.out.push(b']');
        self.plan([Work::Op(0x85), Work::Op(b'R'), Work::Put(id)]);
        self.items(items, b'e');
        Ok(())
    }

    fn big(&mut self, id: Id, raw: &[u8]) -> Result<()> {
        match u8::try_from(raw.len()) {
            Ok(n) => self.out.extend([0x8a, n]),
            Err(_) => {
                let n = i32::try_from(raw.len())
                    .map_err(|_| crate::err!(Value, "an integer is too large to be saved"))?;
                self.out.push(0x8b);
                self.out.extend(n.to_le_bytes());
            }
        }
        self.out.extend(raw);
        self.open[id as usize] = false;
        Ok(())
    }

    /// Bytes: protocol 2 has none, so they travel as Latin-1 text.
    fn bytes(&mut self, raw: &[u8]) -> Result<()> {
        self.global("_codecs", "encode")?;
        self.text(&raw.iter().map(|&b| b as char).collect::<String>())?;
        self.word("latin1")?;
        self.out.extend([0x86, b'R']);
        Ok(())
    }

    fn call_text(&mut self, id: Id, module: &str, name: &str, arg: &str) -> Result<()> {
        self.global(module, name)?;
        self.word(arg)?;
        self.out.extend([0x85, b'R']);
        self.plan([Work::Put(id)]);
        Ok(())
    }

    fn storage(&mut self, index: u32) -> Result<()> {
        let (graph, dtype) = (self.graph, self.storage_dtype[index as usize]);
        let info = &graph.storages[index as usize];
        self.out.push(b'(');
        self.word("storage")?;
        match dtype.and_then(class_of) {
            Some(class) => self.global("torch", class)?,
            None => self.global("torch.storage", "UntypedStorage")?,
        }
        self.text(&info.key)?;
        self.word(&info.location)?;
        self.int((info.bytes / dtype.map_or(1, |d| d.size() as u64)) as i64);
        self.out.extend(b"tQ");
        Ok(())
    }

    fn tensor(&mut self, id: Id, t: &TensorNode) -> Result<()> {
        // Nested calls close from the inside: rebuild, then parameter, then attributes.
        let mut after = Vec::new();
        let with_state = t.attributes.filter(|_| t.parameter);
        if let Some(state) = t.attributes
            && !t.parameter
        {
            self.global("torch._tensor", "_rebuild_from_type_v2")?;
            self.out.push(b'(');
            after.extend([Work::Visit(state), Work::Op(b't'), Work::Op(b'R')]);
        }
        if t.parameter {
            let name = if with_state.is_some() {
                "_rebuild_parameter_with_state"
            } else {
                "_rebuild_parameter"
            };
            self.global("torch._utils", name)?;
            self.out.push(b'(');
            after.extend([
                Work::Op(if t.requires_grad { 0x88 } else { 0x89 }),
                Work::Empty,
            ]);
            after.extend(with_state.map(Work::Visit));
            after.extend([Work::Op(b't'), Work::Op(b'R')]);
        }
        let typed = self.storage_dtype[t.storage as usize] == Some(t.dtype);
        let name = if typed {
            "_rebuild_tensor_v2"
        } else {
            "_rebuild_tensor_v3"
        };
        self.global("torch._utils", name)?;
        let inner_call = t.attributes.is_none() || t.parameter;
        if !inner_call {
            self.global("torch", "Tensor")?;
        }
        self.out.push(b'(');
        self.storage(t.storage)?;
        self.int(t.offset);
        self.ints(&t.size);
        self.ints(&t.stride);
        self.out.push(if t.requires_grad && !t.parameter {
            0x88
        } else {
            0x89
        });
        self.ordered()?;
        if !typed {
            self.global("torch", t.dtype.name())?;
        }
        if t.conj || t.neg {
            self.out.push(b'}');
            for (name, _) in [("conj", t.conj), ("neg", t.neg)]
                .into_iter()
                .filter(|f| f.1)
            {
                self.word(name)?;
                self.out.extend([0x88, b's']);
            }
        }
        self.out.push(b't');
        if inner_call {
            self.out.push(b'R');
        }
        after.push(Work::Put(id));
        self.plan(after);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::pickle;

    fn round(graph: &Graph) -> Graph {
        pickle::read(&write(graph).unwrap()).unwrap().graph
    }

    #[test]
    fn integers_survive() {
        let values = [
            0,
            1,
            -1,
            255,
            256,
            65535,
            65536,
            i32::MIN as i64,
            i32::MAX as i64 + 1,
            -(1 << 40),
            i64::MIN,
            i64::MAX,
        ];
        for i in values {
            let mut g = Graph::default();
            g.root = g.push(Node::Int(i)).unwrap();
            let back = round(&g);
            assert_eq!(*back.node(back.root), Node::Int(i));
        }
    }

    #[test]
    fn shared_and_cyclic_lists_stay_so() {
        let mut g = Graph::default();
        let inner = g.push(Node::List(vec![])).unwrap();
        g.root = g.push(Node::List(vec![inner, inner, 1])).unwrap();
        let back = round(&g);
        let Node::List(items) = back.node(back.root) else {
            panic!()
        };
        assert_eq!(items[0], items[1]);
        assert_eq!(items[2], back.root);
    }

    #[test]
    fn a_tuple_in_itself_is_refused() {
        let mut g = Graph::default();
        g.root = g.push(Node::Tuple(vec![0])).unwrap();
        assert!(write(&g).unwrap_err().message.contains("contains itself"));
    }

    #[test]
    fn bytes_survive() {
        let mut g = Graph::default();
        g.root = g.push(Node::Bytes((0..=255).collect())).unwrap();
        let back = round(&g);
        assert_eq!(*back.node(back.root), Node::Bytes((0..=255).collect()));
    }
}
