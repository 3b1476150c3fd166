//! The examples of RFC 6605 §6.1 (P-256) and RFC 8080 §6.1 (Ed25519), each as a chain of trust of its own: keys, digests,
//! canonical form and signatures made by others.

use super::world::World;
use super::zone::{name, record};
use crate::base::time::WallSeconds;
use crate::resolve::validate::check::{Keys, Work, believe, read_ds, verify};
use crate::resolve::validate::set::sets;
use crate::resolve::validate::{Asked, Response};
use crate::wire::message::Rcode;
use crate::wire::rtype::RecordType;
use crate::wire::section::Record;
use data_encoding::{BASE64, HEXLOWER};

struct Example {
    zone: &'static str,
    key: (u8, &'static str),
    ds: (u16, &'static str),
    owner: &'static str,
    rtype: RecordType,
    rdata: &'static [u8],
    /// Labels, expiration, inception, and the signature.
    signature: (u8, u32, u32, &'static str),
}

const EXAMPLES: [Example; 2] = [
    Example {
        zone: "example.net.",
        key: (13, "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA=="),
        ds: (55_648, "b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17"),
        owner: "www.example.net.",
        rtype: RecordType::A,
        rdata: &[192, 0, 2, 1],
        signature: (
            3,
            // 20100909100439 and 20100812100439
            1_284_026_679,
            1_281_607_479,
            "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==",
        ),
    },
    Example {
        zone: "example.com.",
        key: (15, "l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="),
        ds: (3_613, "3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b"),
        owner: "example.com.",
        rtype: RecordType::MX,
        rdata: b"\0\x0a\x04MAIL\x07example\x03com\0",
        signature: (
            2,
            1_440_021_600,
            1_438_207_200,
            "oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==",
        ),
    },
];

impl Example {
    fn dnskey(&self) -> Record {
        let key = [&[1, 1, 3, self.key.0][..], &BASE64.decode(self.key.1.as_bytes()).unwrap()].concat();
        record(&name(self.zone), RecordType::DNSKEY, 3_600, &key)
    }

    fn ds(&self) -> Record {
        let (tag, digest) = self.ds;
        let digest = HEXLOWER.decode(digest.as_bytes()).unwrap();
        let rdata = [&tag.to_be_bytes()[..], &[self.key.0, 2], &digest].concat();
        record(&name(self.zone), RecordType::DS, 3_600, &rdata)
    }

    fn answer(&self) -> Vec<Record> {
        let (labels, expiration, inception, signature) = self.signature;
        let mut rdata = self.rtype.0.to_be_bytes().to_vec();
        rdata.extend([self.key.0, labels]);
        for number in [3_600, expiration, inception] {
            rdata.extend(number.to_be_bytes());
        }
        rdata.extend(self.ds.0.to_be_bytes());
        rdata.extend(name(self.zone).as_wire());
        rdata.extend(BASE64.decode(signature.as_bytes()).unwrap());
        let owner = name(&self.owner.to_uppercase());
        vec![record(&owner, self.rtype, 3_600, self.rdata), record(&owner, RecordType::RRSIG, 3_600, &rdata)]
    }
}

#[test]
fn signatures_of_the_rfcs_are_right() {
    for example in EXAMPLES {
        let keys = Keys::read(&sets(&[example.dnskey()]).unwrap()[0]);
        let set = &sets(&example.answer()).unwrap()[0];
        let wall = |seconds: u32| WallSeconds(u64::from(seconds));
        let (_, expiration, inception, _) = example.signature;
        for (at, left) in [(inception, 3_600), (expiration - 9, 9), (expiration, 0)] {
            let signed = verify(set, &keys, wall(at), &mut Work::default()).unwrap();
            assert_eq!((signed.ttl, usize::from(signed.labels)), (left, set.labels()), "{}", example.zone);
        }
        assert!(verify(set, &keys, wall(inception - 1), &mut Work::default()).is_err());
        assert!(verify(set, &keys, wall(expiration + 1), &mut Work::default()).is_err());
    }
}

#[test]
fn digests_of_the_rfcs_stand_for_their_keys() {
    for example in EXAMPLES {
        let digests = read_ds(&[example.ds().rdata]).unwrap();
        let set = &sets(&[example.dnskey()]).unwrap()[0];
        let mut work = Work::default();
        // The key was found, and then has not signed its own set.
        let cause = believe(set, &digests, WallSeconds(0), &mut work).unwrap_err();
        assert_eq!((cause.error.0, work.spent.digests), (10, 1), "{}", example.zone);
    }
}

#[test]
fn an_rfc_example_without_its_signed_keys_is_bogus() {
    let [example, _] = EXAMPLES;
    let mut world = World::trusting(Vec::new(), &[example.ds()]);
    world.wall = u64::from(example.signature.2);
    let asked = Asked { name: name(example.owner), rtype: example.rtype };
    let response =
        Response { rcode: Rcode::NoError, answer: example.answer(), authority: Vec::new(), is_open: false };
    assert_eq!(world.judge_response(asked, &response).text(), "bogus 9");
}
