//! Strings in JSON as Go writes them.

const PLAIN: u8 = 0;
const ESCAPED: u8 = 1;
/// First byte of U+2028 and U+2029, and of much else.
const PERHAPS: u8 = 2;

/// What to do about a byte of a string.
const TREATMENT: [u8; 256] = {
    let mut table = [PLAIN; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = ESCAPED;
        byte += 1;
    }
    let special = [b'"', b'\\', b'<', b'>', b'&'];
    let mut at = 0;
    while at < special.len() {
        table[special[at] as usize] = ESCAPED;
        at += 1;
    }
    table[0xe2] = PERHAPS;
    table
};

/// Appends `text` as a JSON string with Go's escapes, which also cover what HTML and JavaScript could misread.
pub(in super::super) fn push_json_text(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    out.push(b'"');
    let mut written = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        match TREATMENT[usize::from(byte)] {
            PLAIN => continue,
            PERHAPS if !matches!(bytes[at..], [_, 0x80, 0xa8 | 0xa9, ..]) => continue,
            _ => {}
        }
        out.extend_from_slice(&bytes[written..at]);
        written = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0xe2 => {
                out.extend_from_slice(if bytes[at + 2] == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                written = at + 3;
            }
            _ => {
                let [high, low] = [byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_go_escapes_them() {
        for (text, expected) in [
            ("", r#""""#),
            ("plain é 漢 …", r#""plain é 漢 …""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\n\r\t\u{8}\u{0}\u{1f}\u{7f}", "\"\\n\\r\\t\\u0008\\u0000\\u001f\u{7f}\""),
            ("<a>&", r#""\u003ca\u003e\u0026""#),
            ("x\u{2028}\u{2029}y\u{2027}", "\"x\\u2028\\u2029y\u{2027}\""),
        ] {
            let mut out = Vec::new();
            push_json_text(text, &mut out);
            assert_eq!(String::from_utf8(out.clone()).unwrap(), expected);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
