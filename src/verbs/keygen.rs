//! A new key as text: 32 octets in base64 (RFC 4648 §4), on one line.

/// The key as `gossip.keys_file` and `key add` take it, without a line's end.
pub fn text(octets: &[u8; 32]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(44);
    for three in octets.chunks(3) {
        let bits =
            three.iter().fold(0u32, |bits, octet| bits << 8 | u32::from(*octet)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_key_is_44_characters_of_base64() {
        assert_eq!(text(&[0; 32]), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        assert_eq!(text(&[0xff; 32]), "//////////////////////////////////////////8=");
        let rising: [u8; 32] = std::array::from_fn(|i| i as u8);
        assert_eq!(text(&rising), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    }
}
