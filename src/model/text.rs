//! Texts of clients, which may be of any length.

/// The first characters of `text` that take at most `bytes_max` bytes.
pub fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_not_parted() {
        for (bytes_max, expected) in [
            (0, ""),
            (1, "a"),
            (2, "a"),
            (3, "aä"),
            (5, "aä"),
            (6, "aä涛"),
            (9, "aä涛"),
            (10, "aä涛🌊"),
            (99, "aä涛🌊"),
        ] {
            assert_eq!(cut("aä涛🌊", bytes_max), expected, "{bytes_max}");
        }
    }
}
