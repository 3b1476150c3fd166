//! Which octets mean something by themselves in a master file (RFC 1035 §5.1).

/// What an octet is outside quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Ordinary,
    Backslash,
    Blank,
    LineFeed,
    CarriageReturn,
    Semicolon,
    Open,
    Close,
    Quote,
    Control,
}

/// The class of every octet.
pub(super) const CLASSES: [Class; 256] = {
    let mut classes = [Class::Ordinary; 256];
    let mut octet = 0;
    while octet < 0x20 {
        classes[octet] = Class::Control;
        octet += 1;
    }
    classes[0x7f] = Class::Control;
    classes[b'\\' as usize] = Class::Backslash;
    classes[b' ' as usize] = Class::Blank;
    classes[b'\t' as usize] = Class::Blank;
    classes[b'\n' as usize] = Class::LineFeed;
    classes[b'\r' as usize] = Class::CarriageReturn;
    classes[b';' as usize] = Class::Semicolon;
    classes[b'(' as usize] = Class::Open;
    classes[b')' as usize] = Class::Close;
    classes[b'"' as usize] = Class::Quote;
    classes
};
