//! Room for large results, in large pages.
//!
//! Naive: a vector that grows: each of its pages of 4 KiB is asked for, cleared and entered when it is first touched,
//! 0.5-1 microseconds a page, a quarter of a second for a gigabyte.
//! Idea: reserve what will be needed at once, and tell the system to back it with pages of 2 MiB: 512 times fewer.
//! Cost: one system call. Room that is never touched takes no memory.
//! Invariant: nothing but speed depends on it; where the system refuses, the vector grows as ever.

#![allow(unsafe_code)]

/// Bytes below which it is not worth a system call.
const LEAST: usize = 8 << 20;
/// The most that is reserved ahead.
const MOST: usize = 1 << 30;

/// Reserves room for about so many more items, if that is much.
pub(crate) fn reserve<T: Copy>(items: &mut Vec<T>, number: usize) {
    let number = number.min(MOST / size_of::<T>());
    if number * size_of::<T>() < LEAST || items.try_reserve(number).is_err() {
        return;
    }
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 2 << 20;
        let spare = items.spare_capacity_mut();
        let start = spare.as_mut_ptr() as usize;
        let from = start.next_multiple_of(PAGE);
        let to = (start + size_of_val(spare)) / PAGE * PAGE;
        if from < to {
            // SAFETY: the range lies inside memory that the vector owns, and the advice changes neither what it holds
            // nor whether it may be used.
            unsafe { libc::madvise(from as *mut libc::c_void, to - from, libc::MADV_HUGEPAGE) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_vector_holds_stays() {
        for number in [0, 10, LEAST, LEAST + 12_345, usize::MAX / 8] {
            let mut items = vec![1u32, 2, 3];
            reserve(&mut items, number);
            items.extend(0..100_000);
            assert_eq!(items[..4], [1, 2, 3, 0]);
            assert_eq!(items.len(), 100_003);
        }
    }
}
