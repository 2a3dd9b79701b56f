//! Lists in host memory whose length a caller's numbers decide. Where memory is exhausted they give the error that a
//! tensor of that size gives; `Vec` alone would abort the process.

use crate::error::Result;

/// The most tensors one call gives as a list. Each is an object, so that memory ends long after patience.
const TENSORS: i64 = 1 << 24;

fn no_memory<T>(n: usize) -> crate::error::Error {
    crate::storage::no_memory(n.saturating_mul(size_of::<T>()))
}

/// An empty list with room for `n` items.
pub fn with_room<T>(n: usize) -> Result<Vec<T>> {
    let mut list = Vec::new();
    list.try_reserve_exact(n).map_err(|_| no_memory::<T>(n))?;
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

/// Refuses to make more tensors than a list can usefully hold.
pub fn check_tensors(op: &str, count: i64) -> Result<()> {
    crate::check!(
        count <= TENSORS,
        Runtime,
        "{op}: a list of {count} tensors does not fit in memory"
    );
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
