//! Names in wire form as plain octets: building, cutting, lowering, reading.

/// A name in uncompressed wire form, the root's zero octet included.
pub type Wire = Vec<u8>;

/// The name as RFC 1035 §5.1 writes it; `None` where it is no name. Always taken as absolute.
pub fn from_text(text: &str) -> Option<Wire> {
    if text == "." {
        return Some(vec![0]);
    }
    let (mut wire, mut label) = (Vec::new(), Vec::new());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        match octet {
            b'.' => push(&mut wire, &std::mem::take(&mut label))?,
            b'\\' => {
                let first = octets.next()?;
                if !first.is_ascii_digit() {
                    label.push(first);
                    continue;
                }
                let digits = [first, octets.next()?, octets.next()?];
                label.push(std::str::from_utf8(&digits).ok()?.parse().ok()?);
            }
            other => label.push(other),
        }
    }
    if !label.is_empty() {
        push(&mut wire, &label)?;
    }
    wire.push(0);
    (wire.len() <= 255).then_some(wire)
}

fn push(wire: &mut Wire, label: &[u8]) -> Option<()> {
    if label.is_empty() || label.len() > 63 {
        return None;
    }
    wire.push(label.len() as u8);
    wire.extend_from_slice(label);
    Some(())
}

/// The name as text, with a final dot.
pub fn to_text(wire: &[u8]) -> String {
    let mut text = String::new();
    for label in labels(wire) {
        for &octet in label {
            match octet {
                b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                    text.push('\\');
                    text.push(octet as char);
                }
                0x21..=0x7e => text.push(octet as char),
                _ => text.push_str(&format!("\\{octet:03}")),
            }
        }
        text.push('.');
    }
    if text.is_empty() { ".".into() } else { text }
}

/// The labels, leftmost first, the root not counted.
pub fn labels(wire: &[u8]) -> Vec<&[u8]> {
    let (mut labels, mut at) = (Vec::new(), 0);
    while wire[at] != 0 {
        let end = at + 1 + usize::from(wire[at]);
        labels.push(&wire[at + 1..end]);
        at = end;
    }
    labels
}

/// The name without its leftmost label; `None` for the root.
pub fn parent(wire: &[u8]) -> Option<Wire> {
    (wire[0] != 0).then(|| wire[1 + usize::from(wire[0])..].to_vec())
}

/// `label` put before the name; `None` where that is too long.
pub fn child(label: &[u8], wire: &[u8]) -> Option<Wire> {
    let mut longer = vec![label.len() as u8];
    longer.extend_from_slice(label);
    longer.extend_from_slice(wire);
    (label.len() <= 63 && !label.is_empty() && longer.len() <= 255).then_some(longer)
}

/// True where `wire` is `ancestor` or below it; both lowered.
pub fn is_within(wire: &[u8], ancestor: &[u8]) -> bool {
    let mut name = Some(wire.to_vec());
    while let Some(this) = name {
        if this == ancestor {
            return true;
        }
        name = parent(&this);
    }
    false
}

/// The name with its ASCII letters lowered (length octets are below `A`).
pub fn lowered(wire: &[u8]) -> Wire {
    wire.to_ascii_lowercase()
}
