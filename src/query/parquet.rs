//! Rows as one Parquet file, written while they come.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::properties::WriterProperties;

use super::error::QueryError;

/// Rows of a row group, which is held until it is full.
const GROUP_ROWS: usize = 65_536;
/// Bytes of a row group at most, about.
const GROUP_BYTES: usize = 32 * 1024 * 1024;

/// Writes one file. Bytes come out of [`ParquetEncoder::batch`] as row groups fill; [`ParquetEncoder::finish`] gives the rest.
pub struct ParquetEncoder(ArrowWriter<Vec<u8>>);

impl ParquetEncoder {
    pub fn new(schema: &SchemaRef) -> Result<Self, QueryError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_max_row_group_bytes(Some(GROUP_BYTES))
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties));
        Ok(ParquetEncoder(writer.map_err(refused)?))
    }

    /// Bytes of the file that are finished, possibly none. `rows` have the schema.
    pub fn batch(&mut self, rows: &RecordBatch) -> Result<Vec<u8>, QueryError> {
        self.0.write(rows).map_err(refused)?;
        Ok(std::mem::take(self.0.inner_mut()))
    }

    /// The last bytes: a file without rows is one too.
    pub fn finish(self) -> Result<Vec<u8>, QueryError> {
        self.0.into_inner().map_err(refused)
    }
}

fn refused(error: ParquetError) -> QueryError {
    QueryError::from(DataFusionError::ParquetError(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use datafusion::arrow::array::{AsArray, Int64Array};
    use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    #[test]
    fn what_comes_out_in_pieces_is_one_file() {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
        let mut encoder = ParquetEncoder::new(&schema).unwrap();
        let (mut file, mut pieces) = (Vec::new(), 0);
        for first in (0..200_000).step_by(50_000) {
            let values = Arc::new(Int64Array::from_iter_values(first..first + 50_000));
            let piece = encoder.batch(&RecordBatch::try_new(schema.clone(), vec![values]).unwrap()).unwrap();
            pieces += usize::from(piece.len() > 4);
            file.extend(piece);
        }
        assert!(pieces >= 2, "nothing left before the end");
        file.extend(encoder.finish().unwrap());
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap().build().unwrap();
        let sum = |rows: RecordBatch| rows.column(0).as_primitive::<Int64Type>().values().iter().sum::<i64>();
        assert_eq!(reader.map(|rows| sum(rows.unwrap())).sum::<i64>(), (0..200_000).sum::<i64>());
    }

    #[test]
    fn no_rows_are_a_file_too() {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
        let file = ParquetEncoder::new(&schema).unwrap().finish().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
        assert_eq!((reader.schema().field(0).name().as_str(), reader.metadata().file_metadata().num_rows()), ("a", 0));
    }
}
