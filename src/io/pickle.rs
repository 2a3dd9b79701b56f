//! Reads a pickle stream (protocols 0 to 5) as data.
//!
//! The stream is a program for a small stack machine. This machine knows the same instructions, but its objects are
//! inert [`Node`]s: a class is a name, and a call is a record of what would be called. Only the constructors of the
//! checkpoint format itself (`rebuild.rs`) are understood.
//!
//! A stream can not take more memory than a constant times its own length: every instruction adds at most one node,
//! and the ones that copy (a tuple made of a list) draw from a budget.

use super::graph::{Construct, DictKind, Graph, Id, Node};
use crate::error::Result;
use std::collections::HashMap;

/// A graph and the number of bytes its stream took.
pub struct Parsed {
    pub graph: Graph,
    pub consumed: usize,
}

/// Interprets the pickle stream at the start of `bytes`.
pub fn read(bytes: &[u8]) -> Result<Parsed> {
    let mut m = Machine::new(bytes)?;
    while !m.step()? {}
    Ok(Parsed {
        graph: m.graph,
        consumed: m.at,
    })
}

/// The state of the stack machine.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    pub(super) graph: Graph,
    stack: Vec<Id>,
    /// Heights of the stack at the open MARKs.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// How many elements instructions may still copy; `None` once they wanted more.
    budget: Option<usize>,
    /// Storages by record name.
    pub(super) storage_of: HashMap<String, u32>,
    known_globals: HashMap<(&'a str, &'a str), Id>,
    none: Id,
    truth: [Id; 2],
}

fn corrupt(what: &str) -> crate::error::Error {
    crate::err!(
        Unpickling,
        "Weights only load failed. The checkpoint is corrupt: {what}"
    )
}

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8]) -> Result<Machine<'a>> {
        let mut graph = Graph::default();
        let none = graph.push(Node::None)?;
        let truth = [
            graph.push(Node::Bool(false))?,
            graph.push(Node::Bool(true))?,
        ];
        Ok(Machine {
            bytes,
            at: 0,
            graph,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            budget: Some(bytes.len().saturating_mul(4).saturating_add(1 << 16)),
            storage_of: HashMap::new(),
            known_globals: HashMap::new(),
            none,
            truth,
        })
    }

    // ---- the stream

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(n).filter(|&e| e <= self.bytes.len());
        let end = end.ok_or_else(|| corrupt("the pickle data was truncated"))?;
        let part = &self.bytes[self.at..end];
        self.at = end;
        Ok(part)
    }

    /// An unsigned little-endian number of `n` bytes.
    fn number(&mut self, n: usize) -> Result<u64> {
        Ok(self
            .take(n)?
            .iter()
            .rev()
            .fold(0, |v, &b| v << 8 | b as u64))
    }

    fn length(&mut self, n: usize) -> Result<usize> {
        usize::try_from(self.number(n)?).map_err(|_| corrupt("a length is out of range"))
    }

    /// Bytes behind a length of `n` bytes.
    fn counted(&mut self, n: usize) -> Result<&'a [u8]> {
        let len = self.length(n)?;
        self.take(len)
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let end = rest
            .iter()
            .position(|&b| b == b'\n')
            .ok_or_else(|| corrupt("the pickle data was truncated"))?;
        self.at += end + 1;
        text(&rest[..end])
    }

    // ---- the stack

    pub(super) fn push(&mut self, node: Node) -> Result<()> {
        let id = self.graph.push(node)?;
        self.stack.push(id);
        Ok(())
    }

    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Id> {
        if self.stack.len() <= self.floor() {
            return Err(corrupt("an instruction finds the stack empty"));
        }
        self.stack
            .pop()
            .ok_or_else(|| corrupt("an instruction finds the stack empty"))
    }

    fn top(&self) -> Result<Id> {
        match self.stack.last() {
            Some(&id) if self.stack.len() > self.floor() => Ok(id),
            _ => Err(corrupt("an instruction finds the stack empty")),
        }
    }

    /// The objects above the last MARK.
    fn pop_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self
            .marks
            .pop()
            .ok_or_else(|| corrupt("a MARK is missing"))?;
        Ok(self.stack.split_off(mark))
    }

    fn pop_n(&mut self, n: usize) -> Result<Vec<Id>> {
        if self.stack.len() < self.floor() + n {
            return Err(corrupt("an instruction finds the stack empty"));
        }
        Ok(self.stack.split_off(self.stack.len() - n))
    }

    /// Pays for copying `n` elements.
    pub(super) fn charge(&mut self, n: usize) -> Result<()> {
        self.budget = self.budget.and_then(|b| b.checked_sub(n));
        self.solvent()
    }

    /// An error once the budget was overdrawn.
    pub(super) fn solvent(&self) -> Result<()> {
        match self.budget {
            Some(_) => Ok(()),
            None => Err(corrupt("its objects expand beyond all proportion")),
        }
    }

    fn remember(&mut self, key: u32) -> Result<()> {
        let id = self.top()?;
        self.memo.insert(key, id);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<()> {
        let id = *self
            .memo
            .get(&key)
            .ok_or_else(|| corrupt("it names an object that it has not defined"))?;
        self.stack.push(id);
        Ok(())
    }

    // ---- instructions

    /// Runs one instruction; true at the end.
    fn step(&mut self) -> Result<bool> {
        let op = self.take(1)?[0];
        match op {
            b'.' => {
                self.graph.root = self.pop()?;
                return Ok(true);
            }
            0x80 => {
                let version = self.number(1)?;
                crate::check!(
                    version <= 5,
                    Unpickling,
                    "unsupported pickle protocol: {version}"
                );
            }
            0x95 => {
                self.take(8)?;
            }
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            b'1' => {
                self.pop_mark()?;
            }
            b'2' => {
                let id = self.top()?;
                self.stack.push(id);
            }
            b'N' => self.stack.push(self.none),
            0x88 | 0x89 => self.stack.push(self.truth[(op == 0x88) as usize]),
            b'I' | b'L' | b'K' | b'M' | b'J' | b'F' | b'G' | 0x8a | 0x8b => self.numeric(op)?,
            b'S' | b'V' | b'X' | b'T' | b'U' | b'B' | b'C' | 0x8c | 0x8d | 0x8e | 0x96 => {
                self.textual(op)?
            }
            b'p' | b'q' | b'r' | 0x94 | b'g' | b'h' | b'j' => self.memory(op)?,
            b'l' | b't' | b'd' | b')' | b'}' | b']' | 0x85..=0x87 | 0x8f | 0x91 => self.make(op)?,
            b'a' | b'e' | b's' | b'u' | 0x90 | b'b' => self.fill(op)?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Node::Str(m), Node::Str(n)) = (self.graph.node(module), self.graph.node(name))
                else {
                    return Err(corrupt("the name of a class is no string"));
                };
                let (m, n) = (m.clone(), n.clone());
                self.charge(m.len() + n.len())?;
                self.named(m, n)?;
            }
            b'R' | 0x81 => {
                let (args, class) = (self.pop()?, self.pop()?);
                let how = if op == b'R' {
                    Construct::Call
                } else {
                    Construct::New
                };
                let node = self.construct(class, how, args)?;
                self.push(node)?;
            }
            b'Q' => {
                let id = self.pop()?;
                let node = self.persistent(id)?;
                self.push(node)?;
            }
            _ => {
                return Err(crate::err!(
                    Unpickling,
                    "Weights only load failed. Unsupported operand {op} at byte {}: the data is no checkpoint of \
                     PyTorch's, or it is corrupt",
                    self.at - 1
                ));
            }
        }
        Ok(false)
    }

    fn numeric(&mut self, op: u8) -> Result<()> {
        let bad = || corrupt("a number is malformed");
        let node = match op {
            b'K' => Node::Int(self.number(1)? as i64),
            b'M' => Node::Int(self.number(2)? as i64),
            b'J' => Node::Int(self.number(4)? as u32 as i32 as i64),
            b'G' => {
                let mut raw = [0; 8];
                raw.copy_from_slice(self.take(8)?);
                Node::Float(f64::from_be_bytes(raw))
            }
            0x8a | 0x8b => long(self.counted(if op == 0x8a { 1 } else { 4 })?),
            b'I' => match self.line()? {
                "00" => Node::Bool(false),
                "01" => Node::Bool(true),
                s => Node::Int(s.trim().parse().map_err(|_| bad())?),
            },
            b'L' => Node::Int(
                self.line()?
                    .trim()
                    .trim_end_matches('L')
                    .parse()
                    .map_err(|_| bad())?,
            ),
            _ => Node::Float(self.line()?.trim().parse().map_err(|_| bad())?),
        };
        self.push(node)
    }

    fn textual(&mut self, op: u8) -> Result<()> {
        let (raw, is_text) = match op {
            b'X' => (self.counted(4)?, true),
            0x8c => (self.counted(1)?, true),
            0x8d => (self.counted(8)?, true),
            b'B' => (self.counted(4)?, false),
            b'C' => (self.counted(1)?, false),
            0x8e | 0x96 => (self.counted(8)?, false),
            // Strings of Python 2: text where they can be.
            b'T' | b'U' => {
                let raw = self.counted(if op == b'T' { 4 } else { 1 })?;
                (raw, std::str::from_utf8(raw).is_ok())
            }
            _ => {
                let line = self.line()?;
                let line = if op == b'S' {
                    line.trim_matches(['\'', '"'])
                } else {
                    line
                };
                if line.contains('\\') {
                    return Err(corrupt("escapes in text-mode strings are not supported"));
                }
                (line.as_bytes(), true)
            }
        };
        let node = match (is_text, op) {
            (true, _) => Node::Str(text(raw)?.to_owned()),
            (false, 0x96) => Node::ByteArray(raw.to_vec()),
            (false, _) => Node::Bytes(raw.to_vec()),
        };
        self.push(node)
    }

    fn memory(&mut self, op: u8) -> Result<()> {
        let key = match op {
            b'q' | b'h' => self.number(1)? as u32,
            b'r' | b'j' => self.number(4)? as u32,
            0x94 => self.memo.len() as u32,
            _ => self
                .line()?
                .parse()
                .map_err(|_| corrupt("a memo key is no number"))?,
        };
        match op {
            b'g' | b'h' | b'j' => self.recall(key),
            _ => self.remember(key),
        }
    }

    /// Instructions that make a container.
    fn make(&mut self, op: u8) -> Result<()> {
        let dict = |items| Node::Dict {
            kind: DictKind::Plain,
            items,
            attributes: None,
        };
        let node = match op {
            b')' => Node::Tuple(Vec::new()),
            b']' => Node::List(Vec::new()),
            b'}' => dict(Vec::new()),
            0x8f => Node::Set(Vec::new()),
            b't' => Node::Tuple(self.pop_mark()?),
            b'l' => Node::List(self.pop_mark()?),
            b'd' => dict(pairs(self.pop_mark()?)?),
            0x91 => Node::FrozenSet(self.pop_mark()?),
            _ => Node::Tuple(self.pop_n((op - 0x84) as usize)?),
        };
        self.push(node)
    }

    /// Instructions that change the container below.
    fn fill(&mut self, op: u8) -> Result<()> {
        let items = match op {
            b'a' | b'b' => vec![self.pop()?],
            b's' => self.pop_n(2)?,
            _ => self.pop_mark()?,
        };
        let target = self.top()? as usize;
        match (op, &mut self.graph.nodes[target]) {
            (b'a' | b'e', Node::List(list)) => list.extend(items),
            (b's' | b'u', Node::Dict { items: all, .. }) => all.extend(pairs(items)?),
            (0x90, Node::Set(set)) => set.extend(items),
            (
                b'b',
                Node::Dict {
                    attributes: state, ..
                },
            )
            | (b'b', Node::Object { state, .. })
            | (
                b'b',
                Node::Tensor(super::graph::TensorNode {
                    attributes: state, ..
                }),
            ) => *state = items.first().copied(),
            (_, Node::Object { class, .. }) => {
                let class = *class;
                return Err(self.refused(class, "it is a container of its own kind"));
            }
            _ => return Err(corrupt("an instruction finds an object of the wrong kind")),
        }
        Ok(())
    }

    fn global(&mut self, module: &'a str, name: &'a str) -> Result<()> {
        if let Some(&id) = self.known_globals.get(&(module, name)) {
            self.stack.push(id);
            return Ok(());
        }
        self.named(module.to_owned(), name.to_owned())?;
        let id = self.top()?;
        self.known_globals.insert((module, name), id);
        Ok(())
    }

    /// Pushes what a dotted name stands for.
    fn named(&mut self, module: String, name: String) -> Result<()> {
        let node = super::names::global(module, name);
        if let Node::Global { module, name } = &node
            && !super::names::is_known(module, name)
        {
            self.graph.foreign.push((module.clone(), name.clone()));
        }
        self.push(node)
    }

    pub(super) fn refused(&self, class: Id, why: &str) -> crate::error::Error {
        match self.graph.node(class) {
            Node::Global { module, name } => {
                crate::err!(
                    Unpickling,
                    "Weights only load failed. Can not load an object of {module}.{name}: {why}"
                )
            }
            _ => corrupt("it constructs an object from something that is no class"),
        }
    }
}

fn text(raw: &[u8]) -> Result<&str> {
    std::str::from_utf8(raw).map_err(|_| corrupt("a string is not valid UTF-8"))
}

fn pairs(items: Vec<Id>) -> Result<Vec<(Id, Id)>> {
    if !items.len().is_multiple_of(2) {
        return Err(corrupt("a dictionary has a key without a value"));
    }
    Ok(items.chunks_exact(2).map(|kv| (kv[0], kv[1])).collect())
}

/// A little-endian two's complement integer.
fn long(raw: &[u8]) -> Node {
    if raw.len() > 8 {
        return Node::BigInt(raw.to_vec());
    }
    let negative = raw.last().is_some_and(|&b| b >= 0x80);
    let mut full = [if negative { 0xff } else { 0 }; 8];
    full[..raw.len()].copy_from_slice(raw);
    Node::Int(i64::from_le_bytes(full))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(bytes: &[u8]) -> String {
        match read(bytes) {
            Ok(p) => panic!("read as {:?}", p.graph),
            Err(e) => e.message,
        }
    }

    #[test]
    fn deep_nesting_takes_no_stack() {
        let n = 1_000_000;
        let mut bytes = vec![0x80, 2, b')'];
        bytes.extend(std::iter::repeat_n(0x85, n));
        bytes.push(b'.');
        let graph = read(&bytes).unwrap().graph;
        assert!(graph.nodes.len() > n);
        assert!(crate::io::writer::write(&graph).unwrap().len() >= n);
    }

    #[test]
    fn copies_draw_from_a_budget() {
        // A list of 1000 items, made into a set 100,000 times.
        let mut bytes = b"\x80\x02c__builtin__\nset\nq\x00](".to_vec();
        bytes.extend(b"K\x01".repeat(1000));
        bytes.extend(b"eq\x01");
        bytes.extend(b"h\x00h\x01\x85R".repeat(100_000));
        assert!(fails(&bytes).contains("beyond all proportion"));
    }

    #[test]
    fn lengths_are_checked_before_memory_is_taken() {
        assert!(fails(b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f").contains("truncated"));
        assert!(fails(b"\x80\x02X\xff\xff\xff\xffabc").contains("truncated"));
        assert!(fails(b"\x80\x02r\xff\xff\xff\xff").contains("stack empty"));
    }

    #[test]
    fn code_stays_a_name() {
        let graph = read(b"cos\nsystem\n(X\x02\x00\x00\x00ls\x85R.").err();
        // An argument tuple inside an open MARK: the call finds it, the name below it does not belong to it.
        assert!(graph.is_some());
        let graph = read(b"cos\nsystem\nX\x02\x00\x00\x00ls\x85R.")
            .unwrap()
            .graph;
        assert!(matches!(graph.node(graph.root), Node::Object { .. }));
        assert_eq!(graph.foreign, [("os".to_owned(), "system".to_owned())]);
    }

    #[test]
    fn tensors_must_fit_their_storage() {
        let tensor = |numel: u8, offset: u8| {
            let mut b = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n\
                X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK"
                .to_vec();
            b.push(numel);
            b.extend(b"tQK");
            b.push(offset);
            b.extend(b"K\x02\x85K\x01\x85\x89)tR.");
            b
        };
        assert!(matches!(
            read(&tensor(4, 2)).map(|p| p.graph.nodes[p.graph.root as usize].clone()),
            Ok(Node::Tensor(_))
        ));
        assert!(fails(&tensor(4, 3)).contains("require a storage size of 20 bytes"));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let whole = b"\x80\x02}(X\x01\x00\x00\x00aK\x01X\x01\x00\x00\x00b]K\x02aK\x03G@\x00\x00\x00\x00\x00\x00\x00u.";
        assert!(read(whole).is_ok());
        for n in 0..whole.len() - 1 {
            fails(&whole[..n]);
        }
    }

    #[test]
    fn integers_of_every_width() {
        let value = |b: &[u8]| {
            let g = read(b).unwrap().graph;
            g.node(g.root).clone()
        };
        assert_eq!(value(b"\x8a\x00."), Node::Int(0));
        assert_eq!(value(b"\x8a\x01\xff."), Node::Int(-1));
        assert_eq!(value(b"J\xff\xff\xff\xff."), Node::Int(-1));
        assert_eq!(
            value(b"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80."),
            Node::Int(i64::MIN)
        );
        assert!(matches!(
            value(b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01."),
            Node::BigInt(_)
        ));
    }
}
