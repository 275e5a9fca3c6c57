//! Which settings a wrong name may have meant.

/// The three of `known` that are nearest to `name`, best first. Both are dotted names.
///
/// A right key in a wrong section counts as near (`limits.flush_bytes` finds `buffer.flush_bytes`), and a section alone
/// is nearest to its keys.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut scored: Vec<(usize, &str)> = known.map(|key| (score(name, key), key)).collect();
    scored.sort();
    scored.into_iter().take(3).map(|(_, key)| key).collect()
}

fn score(name: &str, key: &str) -> usize {
    if key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')) {
        return 0;
    }
    let by_key = 1 + distance(last_part(name), last_part(key));
    distance(name, key).min(by_key)
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// How many characters must be added, removed or replaced to make `b` of `a` (Levenshtein).
pub(super) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        let check = |a, b, expected| assert_eq!(distance(a, b), expected, "{a} {b}");
        check("", "abc", 3);
        check("url", "url", 0);
        check("urll", "url", 1);
        check("ulr", "url", 2);
        check("kitten", "sitting", 3);
    }

    #[test]
    fn the_nearest_come_first() {
        let known = ["buffer.flush_bytes", "storage.url", "wal.dir", "wal.file_bytes"];
        let check = |name, expected| assert_eq!(nearest(name, known.iter().copied())[0], expected, "{name}");
        check("storage.urll", "storage.url");
        check("limits.flush_bytes", "buffer.flush_bytes");
        check("wal_dir", "wal.dir");
        check("wal", "wal.dir");
    }
}
