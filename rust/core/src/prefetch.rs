//! Asks for memory before it is needed: the processor for lines, the system for large pages.
//!
//! Naive: look at it, and wait: a table beyond the caches answers after 80-100 ns.
//! Idea: a loop that knows its next addresses early asks for all of them first; their latencies overlap. A request
//! changes no memory and cannot fault, so a wrong one costs a little time and nothing else.
//! Cost: one instruction a request. On processors without one here, nothing happens.
//! What is written from one end to the other and for the first time costs a fault a page, which pages of 2 MiB make rare.
//! Measured: the counting table and the pair table of training state their gain. Large pages for the ids of 100 MB of text
//! (cl100k, medians of 5): 0.536 instead of 0.566 s at first sight, 0.296 instead of 0.320 when it was seen before. In a
//! virtual machine, memory that the host has yet to provide costs more in large pages; numpy asks for them all the same.
//! Source: numpy's own arrays, which ask for large pages from 4 MiB on.

#![allow(unsafe_code)]

/// Asks for the cache line of `slice[index]`; an index beyond the end does no harm.
#[inline]
pub(crate) fn prefetch<T>(slice: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing the program can see and faults at no address. SSE is part of every x86-64
    // processor.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(
            slice.as_ptr().wrapping_add(index).cast(),
        );
    };
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; `prfm` is part of every AArch64 processor, and changes neither memory nor flags.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) slice.as_ptr().wrapping_add(index),
            options(nostack, readonly, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = (slice, index);
}

/// Room of fewer bytes is left alone: a large page would be mostly empty.
const LARGE: usize = 4 << 20;

/// Asks the system for large pages behind the room of a vector that will be filled; where it has none, nothing happens.
#[inline]
pub(crate) fn large_pages<T>(room: &mut Vec<T>) {
    if room.capacity().saturating_mul(size_of::<T>()) >= LARGE {
        advise(room);
    }
}

#[cold]
fn advise<T>(room: &mut Vec<T>) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        let memory = room.spare_capacity_mut();
        let skip = memory.as_ptr().addr().wrapping_neg() % PAGE;
        let len = size_of_val(memory).saturating_sub(skip) / PAGE * PAGE;
        let from = memory.as_mut_ptr().wrapping_byte_add(skip);
        // SAFETY: the range lies inside the spare room of the vector, and the advice changes no byte of it. An error, as where
        // pages are larger than `PAGE` and the range is none of theirs, leaves all as it was.
        unsafe { libc::madvise(from.cast(), len, libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = room;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pages_change_nothing() {
        for capacity in [0, 1, 4096, LARGE, LARGE + 12345] {
            let mut room: Vec<u8> = Vec::with_capacity(capacity);
            room.extend([7; 3].iter().take(capacity));
            let before = room.clone();
            large_pages(&mut room);
            assert_eq!(room, before);
            room.resize(capacity, 9);
            assert!(room[before.len()..].iter().all(|&byte| byte == 9));
        }
        large_pages(&mut vec![(); 8]);
    }

    #[test]
    fn any_index_is_fine() {
        let slice = [1u64, 2, 3];
        for index in [0, 2, 3, usize::MAX] {
            prefetch(&slice, index);
        }
        prefetch::<u64>(&[], 0);
        assert_eq!(slice, [1, 2, 3]);
    }
}
