use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, AsArray, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type, Schema, SchemaRef, UInt64Type};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, MemoryPool};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{TryStreamExt, stream};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::stretches::{MergedRows, Merging};

/// Tag and time.
type Key = (Option<&'static str>, i64);

/// The value, and which input it is from.
type Row = (Option<f64>, u64);

const TAGS: [Option<&str>; 4] = [Some(""), Some("a"), Some("b"), None];

fn schema() -> SchemaRef {
    let tag = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    Arc::new(Schema::new(vec![
        Field::new("tag", tag, true),
        Field::new("time", DataType::Int64, false),
        Field::new("value", DataType::Float64, true),
        Field::new("sequence", DataType::UInt64, false),
    ]))
}

fn batch(rows: &[(Key, Row)]) -> RecordBatch {
    let tags: DictionaryArray<Int32Type> = rows.iter().map(|((tag, _), _)| *tag).collect();
    let times = Int64Array::from_iter_values(rows.iter().map(|((_, time), _)| *time));
    let values: Float64Array = rows.iter().map(|(_, (value, _))| *value).collect();
    let sequences = UInt64Array::from_iter_values(rows.iter().map(|(_, (_, sequence))| *sequence));
    let columns: Vec<Arc<dyn Array>> = vec![Arc::new(tags), Arc::new(times), Arc::new(values), Arc::new(sequences)];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn rows(batch: &RecordBatch) -> Vec<(Key, Row)> {
    let tags = batch.column(0).as_dictionary::<Int32Type>().downcast_dict::<StringArray>().unwrap();
    let times = batch.column(1).as_primitive::<Int64Type>();
    let values = batch.column(2).as_primitive::<Float64Type>();
    let sequences = batch.column(3).as_primitive::<UInt64Type>();
    let tag = |row: usize| {
        let text = (!tags.is_null(row)).then(|| tags.values().value(tags.keys().value(row) as usize))?;
        TAGS.into_iter().flatten().find(|tag| *tag == text)
    };
    let value = |row: usize| values.is_valid(row).then(|| values.value(row));
    (0..batch.num_rows()).map(|row| ((tag(row), times.value(row)), (value(row), sequences.value(row)))).collect()
}

/// In the order of segments: nulls last.
fn rank(tag: Option<&str>) -> usize {
    TAGS.iter().position(|known| *known == tag).unwrap()
}

/// Sorted rows without two of one key; `spread` is how far their times go.
fn input(random: &mut StdRng, sequence: u64, count: usize, from: i64, spread: i64) -> Vec<(Key, Row)> {
    let mut made = BTreeMap::new();
    for _ in 0..count {
        let tag = TAGS[random.random_range(0..TAGS.len())];
        let value = random.random_bool(0.7).then(|| random.random_range(0..9) as f64);
        made.insert((rank(tag), from + random.random_range(0..spread)), (value, sequence));
    }
    made.into_iter().map(|((tag, time), row)| ((TAGS[tag], time), row)).collect()
}

fn in_batches(random: &mut StdRng, rows: &[(Key, Row)], most: usize) -> SendableRecordBatchStream {
    let mut batches = Vec::new();
    let mut rest = rows;
    while !rest.is_empty() {
        let (next, after) = rest.split_at(random.random_range(0..=most).min(rest.len()));
        batches.push(Ok(batch(next)));
        rest = after;
    }
    Box::pin(RecordBatchStreamAdapter::new(schema(), stream::iter(batches)))
}

async fn merged(inputs: Vec<SendableRecordBatchStream>) -> Vec<RecordBatch> {
    let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1 << 30));
    let merging = Merging { schema: schema(), keys: vec![0, 1], sequence: 3, batch_rows: 100 };
    let metrics = BaselineMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
    let reservation = MemoryConsumer::new("merge").register(&pool);
    MergedRows::new(inputs, merging, reservation, metrics).try_collect().await.unwrap()
}

fn expected(inputs: &[Vec<(Key, Row)>]) -> Vec<(Key, Row)> {
    let mut all: BTreeMap<(usize, i64), Row> = BTreeMap::new();
    // Inputs are in order of age.
    for ((tag, time), (value, sequence)) in inputs.iter().flatten() {
        let row = all.entry((rank(*tag), *time)).or_insert((None, *sequence));
        *row = (value.or(row.0), *sequence);
    }
    all.into_iter().map(|((tag, time), row)| ((TAGS[tag], time), row)).collect()
}

#[tokio::test]
async fn rows_come_in_order_and_each_key_once() {
    // Rows of an input, how far their times go, how far the next input's begin behind them, rows of a batch at most.
    let shapes: [(usize, i64, i64, usize); 7] = [
        (0, 1, 0, 5),
        (30, 5, 0, 3),
        (300, 1000, 0, 70),
        (300, 1000, 990, 70),
        (9000, 100_000, 100_000, 8192),
        (9000, 100_000, 99_000, 5000),
        (9000, 4000, 0, 1500),
    ];
    for (count, spread, apart, most) in shapes {
        for seed in 0..5 {
            let mut random = StdRng::seed_from_u64(seed);
            let many = random.random_range(1..6);
            let input = |sequence: i64| input(&mut random, sequence as u64, count, sequence * apart, spread);
            let inputs: Vec<_> = (0..many).map(input).collect();
            let streams = inputs.iter().map(|rows| in_batches(&mut random, rows, most)).collect();
            let found: Vec<_> = merged(streams).await.iter().flat_map(rows).collect();
            assert_eq!(found, expected(&inputs), "{count} rows, {spread} wide, {apart} apart, seed {seed}");
        }
    }
}

#[tokio::test]
async fn long_stretches_are_not_copied() {
    let rows_of =
        |tag, from: i64| -> Vec<(Key, Row)> { (from..from + 5000).map(|time| ((tag, time), (None, 0))).collect() };
    let inputs = [rows_of(Some("a"), 0), rows_of(Some("a"), 4990)].map(|rows| batch(&rows));
    let values = inputs.each_ref().map(|batch| batch.column(1).as_primitive::<Int64Type>().values().as_ptr());
    let one = |batch: &RecordBatch| -> SendableRecordBatchStream {
        Box::pin(RecordBatchStreamAdapter::new(schema(), stream::iter([Ok(batch.clone())])))
    };
    let merged = merged(inputs.iter().map(one).collect()).await;
    let sizes: Vec<usize> = merged.iter().map(RecordBatch::num_rows).collect();
    assert_eq!(sizes, [4990, 10, 4990]);
    assert_eq!(merged[0].column(1).as_primitive::<Int64Type>().values().as_ptr(), values[0]);
    assert_eq!(merged[2].column(1).as_primitive::<Int64Type>().values().as_ptr(), values[1].wrapping_add(10));
}
