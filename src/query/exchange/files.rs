//! Files as a table of the engine.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::CsvOptions;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::TableType;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema as FileTableSchema;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

use crate::storage::exchange::{Connection, Exchange, Found};

use super::told::ToldExec;
use super::{Form, stores};

/// Files of one form and one schema.
#[derive(Debug)]
pub(in crate::query) struct FileRows {
    schema: SchemaRef,
    form: Form,
    files: Files,
}

#[derive(Debug)]
enum Files {
    /// Those that there are when they are read.
    At(Arc<Exchange>, String),
    Known(Found),
}

impl FileRows {
    /// What is at `url` whenever it is read.
    pub(in crate::query) fn at(exchange: Arc<Exchange>, url: &str, form: Form, schema: SchemaRef) -> FileRows {
        FileRows { schema, form, files: Files::At(exchange, url.to_string()) }
    }

    pub(in crate::query) fn of(found: Found, form: Form, schema: SchemaRef) -> FileRows {
        FileRows { schema, form, files: Files::Known(found) }
    }

    fn source(&self) -> Arc<dyn FileSource> {
        let schema = FileTableSchema::builder(self.schema.clone()).build();
        match self.form {
            // Without the cache of footers, which knows files by their path in the gateway's own store.
            Form::Parquet => Arc::new(ParquetSource::new(schema)),
            Form::Csv { delimiter, header } => {
                let options = CsvOptions {
                    has_header: Some(header),
                    delimiter,
                    // Files are not divided where a line seems to end.
                    newlines_in_values: Some(true),
                    ..CsvOptions::default()
                };
                CsvFormat::default().with_options(options).file_source(schema)
            }
            Form::Json => JsonFormat::default().file_source(schema),
        }
    }
}

#[async_trait]
impl TableProvider for FileRows {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let found = match &self.files {
            Files::Known(found) => found.clone(),
            Files::At(exchange, url) => {
                let found = exchange.find(url, &Connection::default(), self.form.endings()).await;
                found.map_err(|error| DataFusionError::External(Box::new(error)))?
            }
        };
        let url = stores::register(session.runtime_env(), found.store)?;
        let groups = found.files.len().min(session.config().target_partitions().max(1)).max(1);
        let mut files: Vec<Vec<PartitionedFile>> = vec![Vec::new(); groups];
        for (at, file) in found.files.into_iter().enumerate() {
            files[at % groups].push(PartitionedFile::from(file));
        }
        let config = FileScanConfigBuilder::new(url, self.source())
            .with_file_groups(files.into_iter().map(FileGroup::new).collect())
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(Arc::new(ToldExec::new(DataSourceExec::from_data_source(config))))
    }
}
