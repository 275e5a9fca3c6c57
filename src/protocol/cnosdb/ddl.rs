//! Statements that make, change and drop databases and tables.

use datafusion::common::TableReference;

use crate::catalog::databases::{IfExists, NewDatabase, policy};
use crate::catalog::{CatalogError, Room, Table};
use crate::model::{ColumnKind, Kind, Precision, TableSchema};
use crate::protocol::Core;
use crate::protocol::auth::Principal;
use crate::query::sql::duration::Lasting;
use crate::query::sql::{Ddl, Refusal, SYSTEM_SCHEMAS, TableChange, TableDdl, options};

use super::error::{Code, WireError};
use super::sql::refusal as query_refusal;
use super::{authorization, changes, users};

/// Databases whose options are kept: more are refused, as each is a document of the catalog.
const OPTIONS_ROOM: Room = Room { documents: 10_000, bytes: 4 * 1024 * 1024 };

/// Carries out a statement for a tenant; a table's name without a database is of `database`. Durable on `Ok`.
pub(super) async fn execute(
    core: &Core,
    principal: &Principal,
    tenant: &str,
    database: &str,
    statement: Ddl,
) -> Result<(), WireError> {
    match &statement {
        Ddl::Access(change) => users::check(principal, tenant, change)?,
        // The gateway's own rights reach farther than those of who asks.
        Ddl::Table(TableDdl::CreateExternal(_)) => authorization::administers(principal)?,
        Ddl::CreateDatabase { .. }
        | Ddl::DropDatabase { .. }
        | Ddl::RecoverDatabase { .. }
        | Ddl::AlterDatabase { .. } => {
            authorization::owns(principal, tenant)?;
        }
        Ddl::Table(TableDdl::Create { table, .. } | TableDdl::Alter { table, .. } | TableDdl::Drop { table, .. }) => {
            let name = resolved(table, tenant, database);
            authorization::may_write(principal, &name.tenant, &name.database)?;
        }
    }
    match statement {
        Ddl::Access(change) => users::execute(core, tenant, change).await,
        Ddl::CreateDatabase { name, if_not_exists, options: given } => {
            let ttl = given.ttl.as_deref().map(lasting).transpose()?;
            let vnode = given.vnode_duration.as_deref();
            vnode.map(lasting).transpose()?;
            let new = NewDatabase {
                tenant: tenant.to_string(),
                name: name.clone(),
                precision: given.precision.as_deref().map(precision).transpose()?.unwrap_or_default(),
                policy: match ttl {
                    Some(Lasting::For(ttl_ns)) => Some(policy(None, ttl_ns, None, 1)),
                    Some(Lasting::ForEver) | None => None,
                },
            };
            let existed = core.catalog.state().database(tenant, &name).is_some();
            let if_exists = if if_not_exists { IfExists::Keep } else { IfExists::Fail };
            core.catalog.create_database(new, if_exists).await.map_err(refusal)?;
            let named =
                [("SHARD", given.shard.as_deref()), ("VNODE_DURATION", vnode), ("REPLICA", given.replica.as_deref())];
            let named = named.into_iter().filter_map(|(name, value)| Some((name, value?)));
            let others = given.others.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let kept: Vec<_> = named.chain(others).collect();
            if !existed && !kept.is_empty() {
                let value = options::kept(kept.into_iter());
                keep(core, tenant, &name, value).await?;
            }
            Ok(())
        }
        Ddl::DropDatabase { name, if_exists, after } => {
            if name == "public" || SYSTEM_SCHEMAS.contains(&name.as_str()) {
                return Err(WireError::coded(Code::Sql("010065"), format_args!("Database {name:?} forbid drop")));
            }
            let existed = match after.as_deref().map(lasting).transpose()? {
                None => core.catalog.drop_database(tenant, &name).await,
                Some(wait) => {
                    let wait_ns = match wait {
                        Lasting::For(wait_ns) => wait_ns,
                        Lasting::ForEver => i64::MAX,
                    };
                    let at_ns = (core.ingest.clock)().saturating_add(wait_ns);
                    core.catalog.drop_database_at(tenant, &name, at_ns).await
                }
            };
            let existed = existed.map_err(refusal)?;
            if existed || if_exists { Ok(()) } else { Err(WireError::database_not_found(&name)) }
        }
        Ddl::RecoverDatabase { name, if_exists } => {
            let exists = core.catalog.recover_database(tenant, &name).await.map_err(refusal)?;
            if exists || if_exists { Ok(()) } else { Err(WireError::database_not_found(&name)) }
        }
        Ddl::AlterDatabase { name, option, value } => alter_database(core, tenant, &name, &option, &value).await,
        Ddl::Table(TableDdl::Create { table, if_not_exists, columns }) => {
            let name = resolved(&table, tenant, database);
            let full = format!("{}.{}.{}", name.tenant, name.database, name.table);
            let schema = columns.schema(&full).map_err(|refused| of_refusal(&refused))?;
            let made =
                core.catalog.create_table(&name.tenant, &name.database, &name.table, schema).await.map_err(refusal)?;
            if made || if_not_exists { Ok(()) } else { Err(WireError::table_exists(&name.table)) }
        }
        Ddl::Table(TableDdl::CreateExternal(new)) => {
            let name = resolved(&new.table, tenant, database);
            let definition = core.queries.external_table(&new).await.map_err(|error| query_refusal(error, ""))?;
            let made = core.catalog.create_external_table(&name.tenant, &name.database, &name.table, definition);
            let made = made.await.map_err(refusal)?;
            if made || new.if_not_exists { Ok(()) } else { Err(WireError::table_exists(&name.table)) }
        }
        Ddl::Table(TableDdl::Alter { table, change }) => {
            let name = resolved(&table, tenant, database);
            let state = core.catalog.state();
            let owner = state.database(&name.tenant, &name.database);
            if owner.is_some_and(|owner| state.external_table(owner, &name.table).is_some()) {
                return Err(WireError::coded(Code::NotImplemented, "ALTER TABLE of an external table"));
            }
            let table = name.table.clone();
            let edit = move |known: &Table, schema: &mut TableSchema| edit(&table, &change, known, schema);
            let done =
                core.catalog.change_columns(&name.tenant, &name.database, &name.table, edit).await.map_err(refusal)?;
            done.map_err(|refused| of_refusal(&refused))
        }
        Ddl::Table(TableDdl::Drop { table, if_exists }) => {
            let name = resolved(&table, tenant, database);
            let existed = core.catalog.drop_table(&name.tenant, &name.database, &name.table).await.map_err(refusal)?
                || core
                    .catalog
                    .drop_external_table(&name.tenant, &name.database, &name.table)
                    .await
                    .map_err(refusal)?;
            if existed || if_exists {
                return Ok(());
            }
            Err(WireError::table_not_found(&name.tenant, &name.database, &name.table))
        }
    }
}

/// Changes a schema. Deletes name tags: while one of them is not made physical, its table's tags keep their names.
fn edit(name: &str, change: &TableChange, table: &Table, schema: &mut TableSchema) -> Result<(), Refusal> {
    if let TableChange::Rename { from, .. } = change
        && schema.find(from, ColumnKind::Tag).is_some()
        && !table.tombstones.is_empty()
    {
        return Err(Refusal::Update(format!("tag {from} is named by deletes that are not done yet, try again later")));
    }
    change.apply(name, schema)
}

async fn alter_database(core: &Core, tenant: &str, name: &str, option: &str, value: &str) -> Result<(), WireError> {
    let state = core.catalog.state();
    if state.database(tenant, name).is_none() {
        return Err(WireError::database_not_found(name));
    }
    if option == "TTL" {
        let duration_ns = match lasting(value)? {
            Lasting::ForEver => 0,
            Lasting::For(ttl_ns) => ttl_ns,
        };
        core.catalog.keep_rows_for(tenant, name, duration_ns).await.map_err(refusal)?;
        return Ok(());
    }
    match option {
        "VNODE_DURATION" => lasting(value).map(|_| ())?,
        _ => value.parse::<u32>().map(|_| ()).map_err(|_| invalid(option, value, "a number"))?,
    }
    let known = state.document(options::COLLECTION, &options::key(tenant, name));
    let mut kept = known.map_or_else(|| options::kept(std::iter::empty()), |known| (**known).clone());
    kept[option] = serde_json::Value::from(value);
    keep(core, tenant, name, kept).await
}

async fn keep(core: &Core, tenant: &str, name: &str, value: serde_json::Value) -> Result<(), WireError> {
    let key = options::key(tenant, name);
    core.catalog.remember(options::COLLECTION, &key, value, OPTIONS_ROOM).await.map_err(refusal)?;
    Ok(())
}

struct FullName {
    tenant: String,
    database: String,
    table: String,
}

fn resolved(table: &TableReference, tenant: &str, database: &str) -> FullName {
    let resolved = table.clone().resolve(tenant, database);
    FullName {
        tenant: resolved.catalog.to_string(),
        database: resolved.schema.to_string(),
        table: resolved.table.to_string(),
    }
}

pub(super) fn refusal(error: CatalogError) -> WireError {
    match error {
        CatalogError::TableNotFound { table } => changes::not_found(&table),
        error => WireError::of_catalog(error),
    }
}

/// A refused change in CnosDB's codes.
pub(super) fn of_refusal(refused: &Refusal) -> WireError {
    let (code, prefix) = match refused {
        Refusal::SameName { .. } => ("010027", "Semantic error: "),
        Refusal::ColumnExists { .. } => ("010028", "Semantic error: "),
        Refusal::ColumnMissing { .. } => ("010029", "Semantic error: "),
        Refusal::DropTag { .. } => ("010030", "Semantic error: "),
        Refusal::DropTime => ("010031", "Semantic error: "),
        Refusal::LastField => ("010032", "Semantic error: "),
        Refusal::TagCodec => ("010034", "Semantic error: "),
        Refusal::TimeFixed => ("010035", "Semantic error: "),
        Refusal::Codec { .. } => ("010003", "Semantic error: "),
        Refusal::InsertColumns => ("010045", "Semantic error: "),
        Refusal::FieldInWhere { .. } => ("010046", "Semantic error: "),
        Refusal::NoFields => ("050034", ""),
        Refusal::Update(_) => ("010010", "Failed to do analyze. err: "),
    };
    WireError::coded(Code::Sql(code), format_args!("{prefix}{refused}"))
}

fn precision(text: &str) -> Result<Precision, WireError> {
    match text.to_ascii_lowercase().as_str() {
        "ns" => Ok(Precision::Ns),
        "us" => Ok(Precision::Us),
        "ms" => Ok(Precision::Ms),
        _ => Err(WireError::new(Kind::Invalid, format!("precision {text:?} is none of 'ns', 'us', 'ms'"))),
    }
}

fn lasting(text: &str) -> Result<Lasting, WireError> {
    Lasting::parse(text).ok_or_else(|| invalid("duration", text, "a duration such as '10d', '12h' or 'inf'"))
}

fn invalid(option: &str, value: &str, expected: &str) -> WireError {
    WireError::new(Kind::Invalid, format!("{option} is {value:?}, expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_the_codes_that_clients_know() {
        let column = || "c".to_string();
        for (refused, expected) in [
            (
                Refusal::ColumnExists { column: column(), table: "t".to_string() },
                "010028 Semantic error:  column c already exists in table t",
            ),
            (Refusal::DropTag { column: column() }, "010030 Semantic error: Can't drop tag column c."),
            (Refusal::NoFields, "050034 Fields can't be empty"),
            (Refusal::Update("x".to_string()), "010010 Failed to do analyze. err: x"),
        ] {
            assert_eq!(of_refusal(&refused).to_string(), expected);
        }
    }
}
