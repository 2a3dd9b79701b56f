//! The zip container of a checkpoint, as PyTorch lays it out.
//!
//! All records lie in one folder: `data.pkl` (the pickle stream), `byteorder`, `data/<key>` (the bytes of a storage,
//! stored uncompressed at a multiple of 64 so that they can be mapped), `version` and a serialization id.

use super::graph::Graph;
use super::{pickle, writer};
use crate::error::{Error, Result};
use std::io::{Read, Seek, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

const ALIGNMENT: u16 = 64;
/// Entries from this size on need the 64-bit form of the container.
const LARGE: usize = u32::MAX as usize;

/// Whether the bytes begin like a zip container.
pub fn is_zip(start: &[u8]) -> bool {
    start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06")
}

fn unreadable(what: impl std::fmt::Display) -> Error {
    crate::err!(
        Runtime,
        "PytorchStreamReader failed reading zip archive: {what}. The checkpoint file is corrupt or incomplete: it was \
         not saved or transferred completely, or it was changed afterwards"
    )
}

/// A checkpoint opened for reading.
pub struct Archive<R> {
    zip: ZipArchive<R>,
    /// With the slash.
    folder: String,
    swap: bool,
}

impl<R: Read + Seek> Archive<R> {
    /// Opens a container and finds its folder.
    pub fn open(reader: R) -> Result<Archive<R>> {
        let zip = ZipArchive::new(reader).map_err(|e| match e {
            zip::result::ZipError::InvalidArchive(_) => {
                unreadable("failed finding central directory")
            }
            e => unreadable(e),
        })?;
        let mut folder = None;
        let mut script = false;
        for i in 0..zip.len() {
            let Some(Ok(name)) = zip.name_for_index(i) else {
                continue;
            };
            script |= name.ends_with("/constants.pkl");
            if let Some(head) = name.strip_suffix("data.pkl")
                && head.ends_with('/')
                && head.matches('/').count() == 1
            {
                folder.get_or_insert(head.to_owned());
            }
        }
        crate::check!(
            !script,
            Runtime,
            "this file is a TorchScript archive: save the module's `state_dict()` with `torch.save` instead and load that"
        );
        let folder = folder.ok_or_else(|| unreadable("file not found: data.pkl"))?;
        let mut archive = Archive {
            swap: false,
            folder,
            zip,
        };
        if archive
            .zip
            .index_for_name(&format!("{}byteorder", archive.folder))
            .is_some()
        {
            archive.swap = match archive.record("byteorder")?.as_slice() {
                b"little" => cfg!(target_endian = "big"),
                b"big" => cfg!(target_endian = "little"),
                other => crate::bail!(
                    Value,
                    "Unknown endianness type: {}",
                    String::from_utf8_lossy(other)
                ),
            };
        }
        Ok(archive)
    }

    /// The objects of the checkpoint.
    pub fn graph(&mut self) -> Result<Graph> {
        Ok(pickle::read(&self.record("data.pkl")?)?.graph)
    }

    /// The bytes of a record, checked against its checksum.
    pub fn record(&mut self, name: &str) -> Result<Vec<u8>> {
        let (mut entry, size) = self.entry(name)?;
        // Grown while reading, so that a size that lies costs nothing.
        let mut bytes = Vec::with_capacity(size.min(1 << 20));
        entry
            .read_to_end(&mut bytes)
            .map_err(|e| damaged(name, &e))?;
        Ok(bytes)
    }

    /// The byte count of a storage, as the container has it.
    pub fn storage_size(&mut self, key: &str) -> Result<usize> {
        Ok(self.entry(&format!("data/{key}"))?.1)
    }

    /// Fills `to` with a storage of elements of `width` bytes.
    pub fn read_storage(&mut self, key: &str, to: &mut [u8], width: usize) -> Result<()> {
        let name = format!("data/{key}");
        let swap = self.swap && width > 1;
        let (mut entry, size) = self.entry(&name)?;
        if size != to.len() {
            return Err(unreadable(format_args!(
                "record {name} has {size} bytes, expected {}",
                to.len()
            )));
        }
        entry.read_exact(to).map_err(|e| damaged(&name, &e))?;
        // The checksum is compared when the end is seen.
        entry.read(&mut [0]).map_err(|e| damaged(&name, &e))?;
        if swap {
            to.chunks_exact_mut(width).for_each(<[u8]>::reverse);
        }
        Ok(())
    }

    fn entry(&mut self, name: &str) -> Result<(zip::read::ZipFile<'_, R>, usize)> {
        let path = format!("{}{name}", self.folder);
        let entry = self.zip.by_name(&path).map_err(|e| match e {
            zip::result::ZipError::FileNotFound => {
                unreadable(format_args!("file not found: {path}"))
            }
            e => unreadable(format_args!("{path}: {e}")),
        })?;
        let size = usize::try_from(entry.size())
            .map_err(|_| unreadable(format_args!("{path} is too large")))?;
        Ok((entry, size))
    }
}

fn damaged(name: &str, e: &std::io::Error) -> Error {
    let checksum = e.to_string().to_lowercase().contains("checksum");
    if checksum {
        unreadable(format_args!(
            "record {name} does not match its CRC-32 checksum"
        ))
    } else {
        unreadable(format_args!("record {name}: {e}"))
    }
}

/// Writes a checkpoint; `storages` are the bytes of `graph.storages`, in order.
pub fn write<W: Write + Seek>(to: W, folder: &str, graph: &Graph, storages: &[&[u8]]) -> Result<W> {
    crate::check!(
        storages.len() == graph.storages.len(),
        Runtime,
        "the checkpoint names {} storages, {} are given",
        graph.storages.len(),
        storages.len()
    );
    let stream = writer::write(graph)?;
    let mut zip = ZipWriter::new(to);
    let mut sum = 0xcbf2_9ce4_8422_2325u64;
    let mut put = |name: &str, bytes: &[u8]| -> std::io::Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            // The file says what was saved, not when.
            .last_modified_time(zip::DateTime::default())
            .with_alignment(ALIGNMENT)
            .large_file(bytes.len() >= LARGE);
        zip.start_file(format!("{folder}/{name}"), options)?;
        zip.write_all(bytes)?;
        for part in [name.as_bytes(), &(bytes.len() as u64).to_le_bytes()] {
            sum = part
                .iter()
                .fold(sum, |h, &b| (h ^ b as u64).wrapping_mul(0x100_0000_01b3));
        }
        Ok(())
    };
    let failed =
        |e: std::io::Error| crate::err!(Runtime, "PytorchStreamWriter failed writing file: {e}");
    put("data.pkl", &stream).map_err(failed)?;
    put(".format_version", b"1").map_err(failed)?;
    put(".storage_alignment", ALIGNMENT.to_string().as_bytes()).map_err(failed)?;
    put(
        "byteorder",
        if cfg!(target_endian = "little") {
            b"little"
        } else {
            b"big"
        },
    )
    .map_err(failed)?;
    for (info, bytes) in graph.storages.iter().zip(storages) {
        put(&format!("data/{}", info.key), bytes).map_err(failed)?;
    }
    put("version", b"3\n").map_err(failed)?;
    let id = format!("{sum:020}{:020}", stream.len());
    let last = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .with_alignment(ALIGNMENT);
    zip.start_file(format!("{folder}/.data/serialization_id"), last)
        .map_err(|e| failed(e.into()))?;
    zip.write_all(id.as_bytes()).map_err(failed)?;
    zip.finish().map_err(|e| failed(e.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::DType;
    use crate::io::graph::{Node, StorageInfo, TensorNode};
    use std::io::Cursor;

    fn sample() -> Vec<u8> {
        let mut g = Graph::default();
        let info = StorageInfo {
            key: "0".into(),
            dtype: Some(DType::F32),
            location: "cpu".into(),
            bytes: 16,
        };
        let storage = g.storage(info).unwrap();
        let tensor = TensorNode {
            storage,
            dtype: DType::F32,
            offset: 0,
            size: vec![2, 2],
            stride: vec![2, 1],
            requires_grad: true,
            conj: false,
            neg: false,
            parameter: false,
            attributes: None,
        };
        g.root = g.push(Node::Tensor(tensor)).unwrap();
        write(
            Cursor::new(Vec::new()),
            "archive",
            &g,
            &[b"0123456789abcdef"],
        )
        .unwrap()
        .into_inner()
    }

    fn load(bytes: &[u8]) -> Result<(Graph, Vec<u8>)> {
        let mut a = Archive::open(Cursor::new(bytes))?;
        let graph = a.graph()?;
        let mut data = vec![0; a.storage_size("0")?];
        a.read_storage("0", &mut data, 4)?;
        Ok((graph, data))
    }

    #[test]
    fn storages_are_aligned_and_survive() {
        let bytes = sample();
        let (graph, data) = load(&bytes).unwrap();
        assert!(
            matches!(graph.node(graph.root), Node::Tensor(t) if t.size == [2, 2] && t.requires_grad)
        );
        assert_eq!(data, b"0123456789abcdef");
        let at = bytes
            .windows(16)
            .position(|w| w == b"0123456789abcdef")
            .unwrap();
        assert_eq!(at % ALIGNMENT as usize, 0);
    }

    #[test]
    fn the_same_objects_give_the_same_file() {
        assert_eq!(sample(), sample());
    }

    #[test]
    fn damage_is_noticed() {
        let good = sample();
        let at = good
            .windows(16)
            .position(|w| w == b"0123456789abcdef")
            .unwrap();
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(
            load(&bad)
                .unwrap_err()
                .message
                .contains("data/0 does not match its CRC-32")
        );
        for n in 0..good.len() {
            assert!(load(&good[..n]).is_err());
        }
        assert!(
            load(b"no zip at all")
                .unwrap_err()
                .message
                .contains("failed finding central directory")
        );
    }

    #[test]
    fn no_byte_change_panics() {
        let good = sample();
        for at in 0..good.len() {
            for value in [0, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                let _ = load(&bad);
            }
        }
    }
}
