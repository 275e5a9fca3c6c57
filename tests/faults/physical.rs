//! Rows as they lie on disk while no gateway runs: in the log and in live segments, each copy counted.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::Int64Type;
use object_store::{ObjectStore, ObjectStoreExt};
use tidegate::catalog::{Catalog, CatalogOptions, CatalogState, Change};
use tidegate::ingest::wal;
use tidegate::model::batch::tags_of;
use tidegate::model::{ColumnId, ColumnKind, DeletedRows, FieldType, RowIdentity, TableSchema};
use tidegate::storage::fs::OsFileSystem;
use tidegate::storage::local::DurableLocal;
use tidegate::storage::rows::{SeriesSet, decode_segment};
use uuid::Uuid;

/// Table, tag `host`, field `n`: how many copies there are.
pub type Copies = HashMap<(String, String, i64), u32>;

/// The store that a gateway over `folder` has if nothing else is said.
pub fn store_in(folder: &Path) -> Arc<dyn ObjectStore> {
    Arc::new(DurableLocal::open(&folder.join("store"), Arc::new(OsFileSystem)).unwrap())
}

fn options() -> CatalogOptions {
    CatalogOptions { snapshot_every: 1000, ..CatalogOptions::new(Arc::new(|| 0)) }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

/// Makes an append table, for which no door exists yet: its rows have no identity, so a row stored twice is seen twice.
pub fn create_append_table(store: Arc<dyn ObjectStore>, database: &str, table: &str) {
    runtime().block_on(async {
        let catalog = Catalog::open(store, Uuid::from_u128(99), options()).await.unwrap();
        let (database, table) = (database.to_string(), table.to_string());
        let mut schema = TableSchema::new(RowIdentity::Append);
        schema.add("host", ColumnKind::Tag, None);
        schema.add("n", ColumnKind::Field, Some(FieldType::Integer));
        schema.add("half", ColumnKind::Field, Some(FieldType::Float));
        schema.add("text", ColumnKind::Field, Some(FieldType::String));
        catalog
            .update(move |state| {
                let create = Change::CreateTable {
                    id: state.next_table_id(),
                    tenant: "cnosdb".to_string(),
                    database: database.clone(),
                    policy: "autogen".to_string(),
                    table: table.clone(),
                    schema: schema.clone(),
                    folder_with_id: false,
                    folder: None,
                };
                Ok(vec![create])
            })
            .await
            .unwrap();
        catalog.retire().await.unwrap();
        catalog.close().await;
    });
}

/// Every copy of every row of `database`, in `store` and in the log in `folder`. A row of the log does not count once its
/// table is flushed beyond it.
pub fn copies(folder: &Path, store: Arc<dyn ObjectStore>, database: &str) -> Copies {
    runtime().block_on(async {
        let state = state(&store).await;
        let mut copies = Copies::new();
        count_log(folder, &state, &mut copies);
        count_segments(&store, &state, database, &mut copies).await;
        copies
    })
}

/// The catalog as it is now.
pub async fn state(store: &Arc<dyn ObjectStore>) -> Arc<CatalogState> {
    let catalog = Catalog::read(store.clone(), options()).await.unwrap();
    catalog.close().await;
    catalog.state()
}

/// Every copy of every row of `database` that is in a live segment.
pub async fn count_segments(store: &Arc<dyn ObjectStore>, state: &CatalogState, database: &str, copies: &mut Copies) {
    for table in state.tables().filter(|t| &*t.name.database == database) {
        for segment in &table.segments {
            let path = object_store::path::Path::parse(&segment.path).unwrap();
            let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
            let mut series = SeriesSet::default();
            let chunks =
                decode_segment(bytes, &table.schema, segment.sequence, &DeletedRows::default(), &mut series).unwrap();
            let rows: usize = chunks.iter().map(|c| c.rows()).sum();
            assert_eq!(rows as u64, segment.rows, "{}", segment.path);
            for chunk in chunks {
                let host =
                    series.tag_array(column(&table.schema, "host", ColumnKind::Tag), chunk.series.iter().copied());
                let n = chunk.field(column(&table.schema, "n", ColumnKind::Field)).unwrap();
                count(&table.name.table, &strings(&host), n, copies);
            }
        }
    }
}

fn count_log(folder: &Path, state: &CatalogState, copies: &mut Copies) {
    let Ok(writer) = std::fs::read_to_string(folder.join("wal/writer")) else { return };
    let writer: Uuid = writer.split(' ').next().unwrap().parse().unwrap();
    for record in wal::read_dir(&folder.join("wal")).unwrap() {
        let (sequence, batches) = record.unwrap();
        for batch in batches {
            let Some(table) = state.table(batch.table) else { continue };
            if table.flushed.get(&writer).is_some_and(|through| sequence <= *through) {
                continue;
            }
            let host_id = column(&table.schema, "host", ColumnKind::Tag).0;
            let host_of = |series: u32| {
                let found = tags_of(batch.series.key(series as usize)).find(|(id, _)| *id == host_id);
                found.map(|(_, host)| host.to_string()).unwrap()
            };
            let hosts: Vec<String> = batch.row_series.iter().map(|s| host_of(*s)).collect();
            let n_id = column(&table.schema, "n", ColumnKind::Field);
            let (_, n) = batch.fields.iter().find(|(id, _)| *id == n_id).unwrap();
            count(&table.name.table, &hosts, n, copies);
        }
    }
}

fn column(schema: &TableSchema, name: &str, kind: ColumnKind) -> ColumnId {
    schema.find(name, kind).unwrap().id
}

fn strings(array: &ArrayRef) -> Vec<String> {
    let plain = datafusion::arrow::compute::cast(array, &datafusion::arrow::datatypes::DataType::Utf8).unwrap();
    plain.as_string::<i32>().iter().map(|s| s.unwrap().to_string()).collect()
}

fn count(table: &str, hosts: &[String], n: &ArrayRef, copies: &mut Copies) {
    let n = n.as_primitive::<Int64Type>();
    assert_eq!((n.len(), n.null_count()), (hosts.len(), 0));
    for (host, n) in hosts.iter().zip(n.values()) {
        *copies.entry((table.to_string(), host.clone(), *n)).or_default() += 1;
    }
}
