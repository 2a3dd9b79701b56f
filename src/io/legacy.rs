//! The container of PyTorch before 1.6: pickle streams one behind the other, then the storages.
//!
//! In order: a magic number, the protocol number 1001, facts about the system, the objects, the list of the storages'
//! keys, and for each key the element count (64 bits, little-endian) and the elements.

use super::graph::{Graph, Id, Node};
use super::pickle;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::ops::Range;

/// 0x1950a86a20f9469cfc6c as the stream spells it.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The objects of a legacy file and where its storages lie.
pub struct Legacy {
    pub graph: Graph,
    /// The bytes of the file that belong to a storage, by key.
    pub storages: HashMap<String, Range<usize>>,
}

fn corrupt(what: &str) -> Error {
    crate::err!(
        Unpickling,
        "Weights only load failed. The checkpoint is corrupt: {what}"
    )
}

/// Whether the bytes begin like a legacy checkpoint.
pub fn is_legacy(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, rest @ ..] if rest.windows(MAGIC.len()).take(16).any(|w| w == MAGIC))
}

/// Reads a legacy checkpoint.
pub fn read(bytes: &[u8]) -> Result<Legacy> {
    let mut at = 0;
    let mut next = || -> Result<Graph> {
        let parsed = pickle::read(&bytes[at..])?;
        at += parsed.consumed;
        Ok(parsed.graph)
    };
    let (magic, version, system) = (next()?, next()?, next()?);
    if *magic.node(magic.root) != Node::BigInt(MAGIC.to_vec()) {
        return Err(corrupt("Invalid magic number; corrupt file?"));
    }
    match version.node(version.root) {
        Node::Int(1001) => {}
        v => crate::bail!(Runtime, "Invalid protocol version: {v:?}"),
    }
    if let Node::Dict { items, .. } = system.node(system.root) {
        let big = |&&(k, v): &&(Id, Id)| {
            *system.node(k) == Node::Str("little_endian".into())
                && *system.node(v) == Node::Bool(false)
        };
        crate::check!(
            !items.iter().any(|kv| big(&kv)),
            Runtime,
            "legacy checkpoints of big-endian machines are not supported"
        );
    }
    let graph = next()?;
    let keys = next()?;
    let Node::List(ids) = keys.node(keys.root) else {
        return Err(corrupt("the list of storages is missing"));
    };
    let known: HashMap<&str, u64> = graph
        .storages
        .iter()
        .map(|s| (s.key.as_str(), s.bytes))
        .collect();
    let mut storages = HashMap::new();
    for &id in ids {
        let Node::Str(key) = keys.node(id) else {
            return Err(corrupt("the key of a storage is no string"));
        };
        let size = *known
            .get(key.as_str())
            .ok_or_else(|| corrupt("it holds a storage that no tensor uses"))?;
        let start = at
            .checked_add(8)
            .ok_or_else(|| corrupt("a storage is out of range"))?;
        let end = usize::try_from(size)
            .ok()
            .and_then(|n| start.checked_add(n))
            .filter(|&e| e <= bytes.len());
        let end = end.ok_or_else(|| corrupt(&format!("storage {key} is truncated")))?;
        storages.insert(key.clone(), start..end);
        at = end;
    }
    if let Some(lost) = graph
        .storages
        .iter()
        .find(|s| !storages.contains_key(&s.key))
    {
        return Err(corrupt(&format!("storage {} is missing", lost.key)));
    }
    Ok(Legacy { graph, storages })
}
