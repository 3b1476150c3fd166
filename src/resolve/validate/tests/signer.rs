//! Keys that sign, for tests: what is signed is put together here once more, apart from the code that is tested.

use crate::wire::name::Name;
use crate::wire::rtype::{Class, RecordType};
use crate::wire::section::Record;
use ring::digest;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};

/// A key of 2,048 bits that protects nothing.
const RSA: &[u8] = include_bytes!("rsa-2048.pk8");

pub(super) const ZONE_KEY: u16 = 256;
pub(super) const KEY_SIGNING_KEY: u16 = 257;

pub(super) enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
    /// Of an algorithm that nobody knows.
    Unknown,
}

pub(super) struct Signer {
    pub(super) pair: Pair,
    pub(super) flags: u16,
}

impl Signer {
    pub(super) fn p256() -> Signer {
        let rng = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &rng).unwrap();
        Signer { pair: Pair::P256(pair), flags: KEY_SIGNING_KEY }
    }

    pub(super) fn ed25519(seed: u8) -> Signer {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        Signer { pair: Pair::Ed25519(pair), flags: KEY_SIGNING_KEY }
    }

    pub(super) fn rsa() -> Signer {
        Signer { pair: Pair::Rsa(RsaKeyPair::from_pkcs8(RSA).unwrap()), flags: KEY_SIGNING_KEY }
    }

    pub(super) fn unknown() -> Signer {
        Signer { pair: Pair::Unknown, flags: KEY_SIGNING_KEY }
    }

    pub(super) fn algorithm(&self) -> u8 {
        match self.pair {
            Pair::P256(_) => 13,
            Pair::Ed25519(_) => 15,
            Pair::Rsa(_) => 8,
            Pair::Unknown => 200,
        }
    }

    /// RDATA of its DNSKEY record.
    pub(super) fn dnskey(&self) -> Vec<u8> {
        let key = match &self.pair {
            // Without the octet that says "not compressed" (RFC 6605 §4).
            Pair::P256(pair) => pair.public_key().as_ref()[1..].to_vec(),
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Rsa(pair) => {
                // Length of the exponent, exponent, modulus (RFC 3110 §2).
                let public = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                [&[public.e.len() as u8], &public.e[..], &public.n].concat()
            }
            Pair::Unknown => vec![7; 32],
        };
        [&self.flags.to_be_bytes()[..], &[3, self.algorithm()], &key].concat()
    }

    pub(super) fn tag(&self) -> u16 {
        tag(&self.dnskey())
    }

    /// RDATA of its DS record, by SHA-256.
    pub(super) fn ds(&self, zone: &Name) -> Vec<u8> {
        let signed = [zone.to_lowercase().as_wire(), &self.dnskey()].concat();
        let digest = digest::digest(&digest::SHA256, &signed);
        [&self.tag().to_be_bytes()[..], &[self.algorithm(), 2], digest.as_ref()].concat()
    }

    fn sign(&self, octets: &[u8]) -> Vec<u8> {
        let rng = SystemRandom::new();
        match &self.pair {
            Pair::P256(pair) => pair.sign(&rng, octets).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(octets).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &rng, octets, &mut signature).unwrap();
                signature
            }
            Pair::Unknown => vec![7; 64],
        }
    }

    /// The RRSIG record of a set, which stands under its own name.
    pub(super) fn sign_set(&self, zone: &Name, set: &[Record], inception: u32, expiration: u32) -> Record {
        let first = &set[0];
        // Only an asterisk that comes first stands for others (RFC 4034 §3.1.3).
        let labels = (first.name.label_count() - usize::from(first.name.is_wildcard())) as u8;
        let mut rdata = first.rtype.0.to_be_bytes().to_vec();
        rdata.extend([self.algorithm(), labels]);
        rdata.extend(first.ttl.to_be_bytes());
        rdata.extend(expiration.to_be_bytes());
        rdata.extend(inception.to_be_bytes());
        rdata.extend(self.tag().to_be_bytes());
        rdata.extend(zone.to_lowercase().as_wire());
        let mut signed = rdata.clone();
        let mut rdatas: Vec<_> = set.iter().map(|record| record.rdata.to_ascii_lowercase()).collect();
        if !lowered(first.rtype) {
            rdatas = set.iter().map(|record| record.rdata.clone()).collect();
        }
        rdatas.sort();
        for octets in rdatas {
            signed.extend(first.name.to_lowercase().as_wire());
            signed.extend(first.rtype.0.to_be_bytes());
            signed.extend(Class::IN.0.to_be_bytes());
            signed.extend(first.ttl.to_be_bytes());
            signed.extend((octets.len() as u16).to_be_bytes());
            signed.extend(octets);
        }
        rdata.extend(self.sign(&signed));
        Record { name: first.name.clone(), rtype: RecordType::RRSIG, class: Class::IN, ttl: first.ttl, rdata }
    }
}

/// True for the types used in tests whose RDATA is a name.
fn lowered(rtype: RecordType) -> bool {
    [RecordType::NS, RecordType::CNAME, RecordType::DNAME].contains(&rtype)
}

/// RFC 4034 appendix B.
pub(super) fn tag(dnskey: &[u8]) -> u16 {
    let sum: u32 =
        dnskey.chunks(2).map(|two| u32::from(two[0]) << 8 | two.get(1).map_or(0, |b| u32::from(*b))).sum();
    (sum + (sum >> 16)) as u16
}

/// So many keys of the algorithm and tag of `like`, none of which signs anything.
pub(super) fn namesakes(like: &[u8], count: u16) -> Vec<Vec<u8>> {
    let make = |i: u16| {
        let mut key = like.to_vec();
        let len = key.len();
        key[4..6].copy_from_slice(&i.to_be_bytes());
        key[len - 2..].fill(0);
        // The tag is a sum with carries: what is missing is right, or off by a carry.
        let missing = tag(like).wrapping_sub(tag(&key));
        for last in [missing, missing.wrapping_sub(1), missing.wrapping_add(1)] {
            key[len - 2..].copy_from_slice(&last.to_be_bytes());
            if tag(&key) == tag(like) {
                return key;
            }
        }
        panic!("no namesake");
    };
    (0..count).map(make).filter(|key| key != like).collect()
}
