//! A checksum that is told of octets piece by piece: whether something is what was kept of it.

/// CRC-32 over pieces; where one ends and the next begins counts.
#[derive(Debug, Clone, Default)]
pub struct Sum(crc32fast::Hasher);

impl Sum {
    /// Adds a piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.0.update(&(piece.len() as u64).to_be_bytes());
        self.0.update(piece);
    }

    /// Over all pieces so far.
    pub fn get(&self) -> u32 {
        self.0.clone().finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_and_their_ends_count() {
        let sum = |pieces: &[&str]| {
            let mut sum = Sum::default();
            pieces.iter().for_each(|piece| sum.add(piece.as_bytes()));
            sum.get()
        };
        assert_eq!(sum(&["a", "bc"]), sum(&["a", "bc"]));
        assert_ne!(sum(&["a", "bc"]), sum(&["ab", "c"]));
        assert_ne!(sum(&["a"]), sum(&["a", ""]));
    }
}
