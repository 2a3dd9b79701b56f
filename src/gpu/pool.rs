//! The caching memory pool: blocks from the driver, slices for tensors.
//!
//! A block is one driver buffer. Kernels bind whole blocks and add the slice's offset themselves, so the bind groups
//! in use number a handful, no matter how many tensors live (a bind group per tensor costs 24 us a launch).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::api::{Error, GpuBuffer, Result};

/// Slices start at multiples of this, so that vector loads stay aligned.
const GRAIN: u64 = 256;
const MIB: u64 = 1 << 20;

/// A size range of requests, with the blocks that serve it. Small slices must not pin large blocks.
struct Tier {
    largest: u64,
    block: u64,
}

const TIERS: [Tier; 2] = [
    Tier {
        largest: MIB,
        block: 8 * MIB,
    },
    Tier {
        largest: 16 * MIB,
        block: 64 * MIB,
    },
];
/// Requests above the tiers get a block of their own.
const LARGE: usize = TIERS.len();

struct Block {
    buffer: wgpu::Buffer,
    size: u64,
    tier: usize,
    /// Free ranges: start to length.
    free: BTreeMap<u64, u64>,
}

/// Sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MemoryStats {
    /// Held by live tensors.
    pub allocated: u64,
    pub peak_allocated: u64,
    /// Taken from the driver.
    pub reserved: u64,
    pub peak_reserved: u64,
    pub allocations: u64,
    pub blocks: u64,
}

#[derive(Default)]
pub struct Pool {
    blocks: HashMap<u32, Block>,
    next_block: u32,
    /// Free ranges by size: (length, block, start), one set a tier.
    free: [BTreeSet<(u64, u32, u64)>; LARGE + 1],
    stats: MemoryStats,
}

impl Pool {
    pub fn stats(&self) -> MemoryStats {
        self.stats
    }

    pub fn reset_peaks(&mut self) {
        self.stats.peak_allocated = self.stats.allocated;
        self.stats.peak_reserved = self.stats.reserved;
    }

    pub fn buffer(&self, block: u32) -> Result<&wgpu::Buffer> {
        self.blocks
            .get(&block)
            .map(|b| &b.buffer)
            .ok_or_else(|| Error::Failed(format!("gpu memory block {block} is gone")))
    }

    /// Finds room for `asked` bytes, asking `grow` for a block of the given size where there is none.
    pub fn take(
        &mut self,
        asked: u64,
        limit: u64,
        grow: impl FnOnce(u64) -> Result<wgpu::Buffer>,
    ) -> Result<GpuBuffer> {
        let bytes = asked.max(1).next_multiple_of(GRAIN);
        if bytes > limit {
            return Err(Error::OutOfMemory(format!(
                "a gpu tensor of {asked} bytes is larger than the {limit} bytes that this device can bind at once; \
                 split it"
            )));
        }
        let tier = TIERS
            .iter()
            .position(|t| bytes <= t.largest)
            .unwrap_or(LARGE);
        let found = self.free[tier].range((bytes, 0, 0)..).next().copied();
        // A large block is not split, so one much larger than the request stays for a better match.
        let found = found.filter(|&(length, ..)| tier != LARGE || length <= bytes + bytes / 2);
        let (length, block, start) = match found {
            Some(range) => {
                self.free[tier].remove(&range);
                range
            }
            None => {
                let size = match TIERS.get(tier) {
                    Some(t) if t.block <= limit => t.block,
                    Some(_) => bytes,
                    None => bytes.next_multiple_of(2 * MIB).min(limit),
                };
                let buffer = grow(size)?;
                let id = self.next_block;
                self.next_block += 1;
                self.stats.reserved += size;
                self.stats.peak_reserved = self.stats.peak_reserved.max(self.stats.reserved);
                self.stats.blocks += 1;
                self.blocks.insert(
                    id,
                    Block {
                        buffer,
                        size,
                        tier,
                        free: BTreeMap::from([(0, size)]),
                    },
                );
                (size, id, 0)
            }
        };
        let given = if tier == LARGE { length } else { bytes };
        if let Some(entry) = self.blocks.get_mut(&block) {
            entry.free.remove(&start);
            if length > given {
                entry.free.insert(start + given, length - given);
                self.free[tier].insert((length - given, block, start + given));
            }
        }
        self.stats.allocated += asked;
        self.stats.peak_allocated = self.stats.peak_allocated.max(self.stats.allocated);
        self.stats.allocations += 1;
        Ok(GpuBuffer::new(block, start, given, asked))
    }

    /// Puts a slice back and joins it with the free ranges on both sides.
    pub fn put(&mut self, block: u32, start: u64, bytes: u64, asked: u64) {
        self.stats.allocated -= asked;
        let Some(entry) = self.blocks.get_mut(&block) else {
            return;
        };
        let free = &mut self.free[entry.tier];
        let (mut from, mut to) = (start, start + bytes);
        if let Some((&left, &length)) = entry.free.range(..start).next_back()
            && left + length == start
        {
            entry.free.remove(&left);
            free.remove(&(length, block, left));
            from = left;
        }
        if let Some(length) = entry.free.remove(&to) {
            free.remove(&(length, block, to));
            to += length;
        }
        entry.free.insert(from, to - from);
        free.insert((to - from, block, from));
    }

    /// Gives blocks without a live slice back to the driver; returns their ids.
    pub fn trim(&mut self) -> Vec<u32> {
        let idle: Vec<u32> = self
            .blocks
            .iter()
            .filter(|(_, b)| b.free.get(&0) == Some(&b.size))
            .map(|(&id, _)| id)
            .collect();
        for id in &idle {
            if let Some(block) = self.blocks.remove(id) {
                self.free[block.tier].remove(&(block.size, *id, 0));
                self.stats.reserved -= block.size;
                self.stats.blocks -= 1;
            }
        }
        idle
    }
}
