//! From a key of the cluster to the keys that seal: HKDF (RFC 5869) with SHA-256, and ChaCha20-Poly1305
//! (RFC 8439), which is fast and keeps its secrets on processors without instructions for AES.
//!
//! ```text
//!  cluster key ─┐
//!  cluster name ┴─ extract ─► root ─┬─ "hint" ──────────────────────► octets in clear that tell keys apart
//!                                   ├─ "datagram", boot ────────────► the key of one sender's life
//!                                   ├─ "stream", way, both hellos ──► the key of one direction of a stream
//!                                   └─ "transfer" ──────────────────► the secret that signs transfers of shared zones
//! ```
//!
//! A nonce is a number that its sender counts up. No key is used by two senders, so no nonce is used twice.
//! Random nonces under one shared key would run out within hours in a cluster of 10,000 nodes.

use super::key::Key;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

/// Octets that sealing adds to what is sealed, the header not counted.
pub(super) const TAG_OCTETS: usize = 16;

/// Octets of a key's hint. A stream's hello has all of them, a datagram the first few.
pub(super) const HINT_OCTETS: usize = 8;

/// Octets of the secret for transfers: what HMAC-SHA-256 takes as a key.
pub(super) const TRANSFER_OCTETS: usize = 32;

/// What all keys of one cluster key and one cluster name are made from.
#[derive(Clone)]
pub(super) struct Root {
    derivation: Prk,
    hint: [u8; HINT_OCTETS],
}

/// A key that seals and opens.
pub(super) struct Cipher(LessSafeKey);

/// So many octets.
struct Octets<const N: usize>;

impl<const N: usize> KeyType for Octets<N> {
    fn len(&self) -> usize {
        N
    }
}

/// Octets for a purpose, fewer than a hash has.
fn expand<const N: usize>(derivation: &Prk, purpose: &[u8]) -> [u8; N] {
    let mut octets = [0; N];
    derivation
        .expand(&[purpose], Octets::<N>)
        .and_then(|out| out.fill(&mut octets))
        .expect("a hash is long enough");
    octets
}

impl Root {
    pub(super) fn new(cluster: &str, key: &Key) -> Root {
        let salt = [b"hivedns gossip 1 ", cluster.as_bytes()].concat();
        let derivation = Salt::new(HKDF_SHA256, &salt).extract(key.octets());
        let hint = expand(&derivation, b"hint");
        Root { derivation, hint }
    }

    /// The same for all nodes of a cluster; another for another key or another cluster name.
    pub(super) fn hint(&self) -> &[u8; HINT_OCTETS] {
        &self.hint
    }

    /// The key of one sender's life. Derived anew for each datagram: that costs less than a microsecond, and
    /// sessions need neither hold secrets nor care for rotation.
    pub(super) fn datagram(&self, boot: u64) -> Cipher {
        self.cipher(&[b"datagram", &boot.to_be_bytes()])
    }

    /// The key of one direction of a stream. Both sides put random octets into their hellos, so each stream has
    /// keys that never were before.
    pub(super) fn stream(&self, way: u8, opener_hello: &[u8], accepter_hello: &[u8]) -> Cipher {
        self.cipher(&[b"stream", &[way], opener_hello, accepter_hello])
    }

    /// What signs transfers between members. It leaves this machine's memory no more than the key itself does.
    pub(super) fn transfer(&self) -> [u8; TRANSFER_OCTETS] {
        expand(&self.derivation, b"transfer")
    }

    fn cipher(&self, purpose: &[&[u8]]) -> Cipher {
        let key =
            self.derivation.expand(purpose, &CHACHA20_POLY1305).expect("a hash is long enough for a key");
        Cipher(LessSafeKey::new(UnboundKey::from(key)))
    }
}

impl Cipher {
    /// Seals `octets` behind the first `header` ones, which stay in clear but cannot be changed, and appends
    /// the tag. **No number may come twice.**
    pub(super) fn seal(&self, number: u64, octets: &mut Vec<u8>, header: usize) {
        let (head, body) = octets.split_at_mut(header);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce(number), Aad::from(&*head), body)
            .expect("what is sealed at once is far below the cipher's 256 GiB");
        octets.extend_from_slice(tag.as_ref());
    }

    /// Opens `sealed` in its place; `None` if it or the header was made otherwise, and then `sealed` is spoilt.
    pub(super) fn open<'o>(&self, number: u64, header: &[u8], sealed: &'o mut [u8]) -> Option<&'o mut [u8]> {
        self.0.open_in_place(nonce(number), Aad::from(header), sealed).ok()
    }
}

fn nonce(number: u64) -> Nonce {
    let mut octets = [0; 12];
    octets[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cluster_key_and_name_has_a_hint_of_its_own() {
        let hint = |cluster, key| *Root::new(cluster, &Key::new([key; 32])).hint();
        assert_eq!(hint("a", 1), hint("a", 1));
        assert_ne!(hint("a", 1), hint("b", 1));
        assert_ne!(hint("a", 1), hint("a", 2));
    }

    #[test]
    fn each_cluster_key_and_name_has_a_secret_for_transfers_of_its_own() {
        let secret = |cluster, key| Root::new(cluster, &Key::new([key; 32])).transfer();
        assert_eq!(secret("a", 1), secret("a", 1));
        let others = [secret("b", 1), secret("a", 2), [1; 32]];
        assert!(!others.contains(&secret("a", 1)));
        assert!(!secret("a", 1).starts_with(Root::new("a", &Key::new([1; 32])).hint()));
    }

    #[test]
    fn each_sender_way_and_stream_has_a_key_of_its_own() {
        let root = Root::new("a", &Key::new([1; 32]));
        let ciphers = || {
            [
                root.datagram(1),
                root.datagram(2),
                root.stream(0, b"a", b"b"),
                root.stream(1, b"a", b"b"),
                root.stream(0, b"a", b"c"),
            ]
        };
        for (sealer, cipher) in ciphers().into_iter().enumerate() {
            let mut sealed = b"head and body".to_vec();
            cipher.seal(7, &mut sealed, 4);
            for (opener, cipher) in ciphers().into_iter().enumerate() {
                let mut body = sealed[4..].to_vec();
                let opened = cipher.open(7, b"head", &mut body);
                assert_eq!(opened.as_deref(), (opener == sealer).then_some(&b" and body"[..]));
            }
        }
    }
}
