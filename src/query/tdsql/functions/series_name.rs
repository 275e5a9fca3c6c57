//! Names for series that nobody named: `t_` and the MD5 of measurement and tags, as taosAdapter makes them.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Expr;

use super::call;

/// The name of each row's series; `tags` are the keys and their columns.
pub(in crate::query::tdsql) fn of(measurement: &str, mut tags: Vec<(String, Expr)>) -> Expr {
    tags.sort_by(|a, b| a.0.cmp(&b.0));
    let (keys, columns): (Vec<String>, Vec<Expr>) = tags.into_iter().unzip();
    let measurement = measurement.to_string();
    let name = format!("td_series_name_{measurement}_{}", keys.join(","));
    call(name, DataType::Utf8, columns, move |columns| {
        let texts = columns.iter().map(|column| cast(column, &DataType::Utf8)).collect::<Result<Vec<_>, _>>()?;
        let texts: Vec<&StringArray> = texts.iter().map(|column| column.as_string::<i32>()).collect();
        let rows = texts.first().map_or(0, |column| column.len());
        let names = (0..rows).map(|row| {
            let value = |column: &&StringArray| column.is_valid(row).then(|| column.value(row).to_string());
            let tags = keys.iter().zip(&texts).filter_map(|(key, column)| Some((key.as_str(), value(column)?)));
            Some(series_name(&measurement, tags))
        });
        Ok(Arc::new(names.collect::<StringArray>()) as ArrayRef)
    })
}

/// The name of one series; `tags` in the order of their keys.
pub(crate) fn series_name<'a>(measurement: &str, tags: impl Iterator<Item = (&'a str, String)>) -> String {
    let mut text = measurement.to_string();
    for (key, value) in tags {
        text.extend([",", key, "=", &value]);
    }
    let digest: String = md5(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t_{digest}")
}

/// RFC 1321. Names only: nothing here hangs on it being hard to invert.
fn md5(message: &[u8]) -> [u8; 16] {
    const SHIFTS: [u32; 16] = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend((message.len() as u64).wrapping_mul(8).to_le_bytes());
    let mut state: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded.as_chunks::<64>().0 {
        let words: Vec<u32> = block.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..64usize {
            let (mixed, word) = match step / 16 {
                0 => ((b & c) | (!b & d), step),
                1 => ((d & b) | (!d & c), (5 * step + 1) % 16),
                2 => (b ^ c ^ d, (3 * step + 5) % 16),
                _ => (c ^ (b | !d), (7 * step) % 16),
            };
            let constant = ((step as f64 + 1.0).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a.wrapping_add(mixed).wrapping_add(constant).wrapping_add(words[word]);
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[step / 16 * 4 + step % 4]));
        }
        for (total, part) in state.iter_mut().zip([a, b, c, d]) {
            *total = total.wrapping_add(part);
        }
    }
    let mut digest = [0; 16];
    for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_le_bytes();
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_rfc() {
        let hex = |text: &str| md5(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(hex("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
        assert_eq!(
            hex("12345678901234567890123456789012345678901234567890123456789012345678901234567890"),
            "57edf4a22be3c955ac49da2e2107b67a"
        );
    }

    #[test]
    fn a_name_hangs_on_measurement_and_tags() {
        let name = |m: &str, v: &str| series_name(m, [("k1", v.to_string())].into_iter());
        assert_eq!(name("m", "v1").len(), 34);
        assert_ne!(name("m", "v1"), name("m", "v2"));
        assert_ne!(name("m", "v1"), name("n", "v1"));
    }
}
