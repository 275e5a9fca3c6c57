use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::ArrayRef;
use datafusion::parquet::file::reader::{FileReader, SerializedFileReader};

use super::*;
use crate::model::{ColumnKind, FieldType, RowIdentity, TableSchema};
use crate::storage::checksums::BlockChecksums;
use crate::storage::rows::decode_segment;
use crate::storage::rows::{SeriesSet, sort_into_windows};
use crate::storage::segment::{EncodedSegment, SegmentLabel, SequenceRange, encode_segment};

fn segment(columns: Vec<(&str, Vec<Option<String>>)>, words: bool) -> (EncodedSegment, TableSchema) {
    let mut schema = TableSchema::new(RowIdentity::Append);
    let rows = columns[0].1.len();
    let mut fields: Vec<(ColumnId, ArrayRef)> = Vec::new();
    for (name, texts) in columns {
        let id = schema.add(name, ColumnKind::Field, Some(FieldType::String));
        fields.push((id, Arc::new(StringArray::from_iter(texts))));
    }
    let mut series = SeriesSet::default();
    series.number(&[]);
    let sequence = SequenceRange { first: 1, last: 1 };
    let times = (0..rows as i64).collect();
    let chunk = crate::storage::rows::Chunk { sequence, series: vec![0; rows], times, fields };
    let windows = sort_into_windows(&chunk, &series, &schema, i64::MAX).unwrap();
    let label = SegmentLabel { table: "t", table_id: 1, window_ns: 0, sequence, words };
    (encode_segment(&windows[0].rows, &label).unwrap(), schema)
}

fn filters(segment: &EncodedSegment) -> Option<WordFilters> {
    let reader = SerializedFileReader::new(segment.bytes.clone()).unwrap();
    WordFilters::of(reader.metadata().file_metadata())
}

/// For each row group whether it may hold the word; `None` where no filter says.
fn look_up(bytes: &Bytes, filters: &WordFilters, column: ColumnId, word: &str) -> Vec<Option<bool>> {
    let hash = WordHash::of(word);
    let places = filters.places(column, hash).unwrap();
    let held = |place: Range<u64>| may_hold(&bytes[place.start as usize..place.end as usize], hash);
    places.into_iter().map(|place| place.map(held)).collect()
}

fn id(schema: &TableSchema, name: &str) -> ColumnId {
    schema.find(name, ColumnKind::Field).unwrap().id
}

/// Words as logs have them: some in every line, one or two of its own.
fn line(row: usize) -> String {
    format!("GET /api/v1/orders/{row} upstream connection reset by peer, request r{:x}", row * 7919)
}

#[test]
fn filters_know_every_word_and_few_others() {
    // More than a row group.
    let rows = 300_000;
    let lines: Vec<Option<String>> = (0..rows).map(|row| (row % 3 > 0).then(|| line(row))).collect();
    let levels = (0..rows).map(|row| Some(["info", "WARN"][row % 2].to_string())).collect();
    let (segment, schema) = segment(vec![("message", lines), ("level", levels)], true);
    let known = filters(&segment).unwrap();
    let (message, level) = (id(&schema, "message"), id(&schema, "level"));
    let found = |column, word: &str| look_up(&segment.bytes, &known, column, word);
    assert_eq!(found(message, "PEER"), [Some(true), Some(true)]);
    assert_eq!(found(level, "warn"), [Some(true), Some(true)]);
    assert_eq!(found(level, "error"), [Some(false), Some(false)]);
    for row in (1..262_144).step_by(3 * 1009) {
        assert_eq!(found(message, &row.to_string())[0], Some(true), "{row}");
    }
    let rows_of_second = (262_144..rows).filter(|row| row % 3 > 0).step_by(997);
    let wrong = rows_of_second.clone().filter(|row| found(message, &row.to_string())[0] == Some(true)).count();
    assert!(rows_of_second.clone().all(|row| found(message, &row.to_string())[1] == Some(true)));
    assert!(wrong * 30 < rows_of_second.count(), "{wrong} false alarms");
    let text_bytes: usize = (0..rows).filter(|row| row % 3 > 0).map(|row| line(row).len()).sum();
    assert!(known.bytes() > 0 && known.bytes() < text_bytes as u64 / 10, "{} of {text_bytes}", known.bytes());
}

#[test]
fn the_hash_of_a_word_never_changes() {
    let check = |word: &str, expected: u64| assert_eq!(WordHash::of(word).0, expected, "{word:?}");
    check("", 0xefd0_1f60_ba99_2926);
    check("error", 0xfc80_d452_13e4_b6c6);
    check("ERROR", 0xfc80_d452_13e4_b6c6);
    check("łódź", 0x88c5_e28f_8cf8_c1a4);
    check("ŁÓDŹ", 0x88c5_e28f_8cf8_c1a4);
}

#[test]
fn texts_of_nothing_but_ids_have_no_filter_and_short_ones_do() {
    let ids = |rows: usize| (0..rows).map(|row| Some(format!("{:x}", row * 104_729))).collect::<Vec<_>>();
    let (many, schema) = segment(vec![("id", ids(20_000)), ("text", vec![Some("a b".to_string()); 20_000])], true);
    let known = filters(&many).unwrap();
    assert_eq!(known.places(id(&schema, "id"), WordHash::of("0")), None);
    assert_eq!(look_up(&many.bytes, &known, id(&schema, "text"), "a"), [Some(true)]);
    let (few, schema) = segment(vec![("id", ids(10))], true);
    let known = filters(&few).unwrap();
    assert_eq!(look_up(&few.bytes, &known, id(&schema, "id"), "0"), [Some(true)]);
    assert_eq!(look_up(&few.bytes, &known, id(&schema, "id"), "nothing"), [Some(false)]);
}

#[test]
fn a_segment_reads_the_same_with_filters_and_without() {
    let lines: Vec<Option<String>> = (0..5_000).map(|row| Some(line(row))).collect();
    let read = |words| {
        let (segment, schema) = segment(vec![("message", lines.clone())], words);
        assert_eq!(filters(&segment).is_some(), words);
        let mut series = SeriesSet::default();
        let sequence = SequenceRange { first: 1, last: 1 };
        let deleted = crate::model::DeletedRows::default();
        let chunks = decode_segment(segment.bytes, &schema, sequence, &deleted, &mut series).unwrap();
        chunks.iter().map(|chunk| chunk.to_sql_batch(&schema, &series).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(read(true), read(false));
}

#[test]
fn filters_are_under_the_checksums_of_the_segment() {
    let lines = (0..5_000).map(|row| Some(line(row))).collect();
    let (segment, schema) = segment(vec![("message", lines)], true);
    let body = segment.bytes.len() - segment.footer_bytes as usize;
    let checksums = BlockChecksums::read(&segment.checks, body as u64, &segment.bytes[body..]).unwrap();
    let places = filters(&segment).unwrap().places(id(&schema, "message"), WordHash::of("peer")).unwrap();
    let place = places[0].clone().unwrap();
    assert!(place.end <= body as u64, "{place:?} of {body}");
    let mut damaged = segment.bytes[..body].to_vec();
    checksums.check(0, &damaged).unwrap();
    damaged[place.start as usize] ^= 1;
    checksums.check(0, &damaged).unwrap_err();
}

/// Filters that a released version wrote must be understood for ever: one that is not would deny words that are there.
#[test]
fn version_1_of_filters_is_readable() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1/segment/words.parquet");
    let bytes = Bytes::from(std::fs::read(file).unwrap());
    let reader = SerializedFileReader::new(bytes.clone()).unwrap();
    let known = WordFilters::of(reader.metadata().file_metadata()).unwrap();
    assert!(known.bytes() > PART_BYTES as u64, "it has parts");
    let found = |word: &str| look_up(&bytes, &known, ColumnId(1), word);
    for row in 0..2_000 {
        assert!(words(&line(row)).all(|word| found(word) == [Some(true)]), "{row}");
    }
    let wrong = (2_000..4_000).filter(|row| found(&row.to_string()) == [Some(true)]).count();
    assert!(wrong < 80, "{wrong} false alarms");
}
