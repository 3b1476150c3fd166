//! Randomness from the system's generator (`getrandom(2)`).
#![allow(unsafe_code)]

use std::io;

/// That many random octets.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut octets = [0u8; N];
    let mut filled = 0;
    while filled < N {
        let rest = &mut octets[filled..];
        // SAFETY: the kernel writes at most `rest.len()` octets into `rest`.
        let count = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match usize::try_from(count) {
            Ok(count) => filled += count,
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_draws_differ() {
        assert_ne!(super::random::<16>().unwrap(), super::random::<16>().unwrap());
    }
}
