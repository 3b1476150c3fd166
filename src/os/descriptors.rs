//! How many descriptors the process may have (`getrlimit(2)`): each socket is one.
#![allow(unsafe_code)]

/// Raises the bound as far as it may be raised without any right, and tells it. What was allowed stays where the system
/// refuses.
pub fn raise_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one `rlimit` into the one that is there; the standard library has no such call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return 0;
    }
    let most = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
    // SAFETY: the kernel reads one `rlimit`.
    let is_raised = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const most) } == 0;
    #[allow(clippy::unnecessary_cast, reason = "its type differs between platforms")]
    let allowed = if is_raised { most.rlim_cur } else { limit.rlim_cur } as u64;
    allowed
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_bound_that_was_raised_stays() {
        let limit = super::raise_limit();
        assert!(limit > 0);
        assert_eq!(super::raise_limit(), limit);
    }
}
