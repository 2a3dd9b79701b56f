//! Lists in host memory whose length a caller's numbers decide. Where memory is exhausted they give the error that a
//! tensor of that size gives; `Vec` alone would abort the process.

use crate::error::{Error, Kind, Result};

/// The most tensors one call gives as a list: more would take longer than anyone waits.
const TENSORS: usize = 1 << 24;

/// What a tensor in a list takes in all, its Python object included.
const TENSOR_BYTES: usize = 768;

/// Fewer tensors than this need no question whether there is memory for them.
const FEW: usize = 4096;

fn no_memory<T>(n: usize) -> Error {
    crate::storage::no_memory(n.saturating_mul(size_of::<T>()))
}

/// Makes room for `more` items, if need be out of what the tensors' allocator keeps for later.
fn reserve<T>(list: &mut Vec<T>, more: usize, exact: bool) -> Result<()> {
    let mut ask = || {
        if exact {
            list.try_reserve_exact(more)
        } else {
            list.try_reserve(more)
        }
    };
    if ask().is_ok() {
        return Ok(());
    }
    crate::cpu::alloc::empty_cache();
    ask().map_err(|_| no_memory::<T>(more))
}

/// An empty list with room for `n` items.
pub fn with_room<T>(n: usize) -> Result<Vec<T>> {
    let mut list = Vec::new();
    reserve(&mut list, n, true)?;
    Ok(list)
}

/// `n` times the same item.
pub fn filled<T: Clone>(n: usize, item: T) -> Result<Vec<T>> {
    let mut list = with_room(n)?;
    list.resize(n, item);
    Ok(list)
}

/// The items of an iterator that knows how many it has.
pub fn collected<T>(items: impl ExactSizeIterator<Item = T>) -> Result<Vec<T>> {
    let mut list = with_room(items.len())?;
    list.extend(items);
    Ok(list)
}

/// A copy of a slice.
pub fn copied<T: Copy>(items: &[T]) -> Result<Vec<T>> {
    let mut list = with_room(items.len())?;
    list.extend_from_slice(items);
    Ok(list)
}

/// Adds an item to a list that grows by doubling.
#[inline]
pub fn push<T>(list: &mut Vec<T>, item: T) -> Result<()> {
    if list.len() == list.capacity() {
        reserve(list, 1, false)?;
    }
    list.push(item);
    Ok(())
}

/// What unwinds where memory is exhausted and there is no result to return an error in, as in the blocks of a parallel
/// loop. The boundary to Python makes the error of it.
pub struct Exhausted(String);

impl Exhausted {
    pub fn error(&self) -> Error {
        Error::new(Kind::Runtime, self.0.clone())
    }
}

/// What was made; where memory did not suffice for it, unwinds with `Exhausted`.
pub fn held<T>(made: Result<T>) -> T {
    made.unwrap_or_else(|e| std::panic::panic_any(Exhausted(e.message)))
}

/// Unwinds with `Exhausted` for that many bytes.
#[cold]
pub fn exhausted(bytes: usize) -> ! {
    std::panic::panic_any(Exhausted(crate::storage::no_memory(bytes).message))
}

/// Refuses to make more tensors than a list can usefully hold, or memory has room for. Many small objects are asked for
/// one by one, so that the question comes before the first of them.
pub fn check_tensors(op: &str, count: usize) -> Result<()> {
    crate::check!(
        count <= TENSORS,
        Runtime,
        "{op}: a list of {count} tensors does not fit in memory"
    );
    if count > FEW {
        with_room::<u8>(count * TENSOR_BYTES)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_long_is_an_error() {
        assert!(filled(usize::MAX / 16, 0u8).is_err());
        assert!(with_room::<[u64; 4]>(usize::MAX / 8).is_err());
        assert!(collected((0..isize::MAX as usize / 8).map(|i| i as f64)).is_err());
        assert_eq!(filled(3, 7u8).ok(), Some(vec![7, 7, 7]));
        assert_eq!(collected(0..4usize).ok(), Some(vec![0, 1, 2, 3]));
        assert_eq!(copied(&[1, 2]).ok(), Some(vec![1, 2]));
    }
}
