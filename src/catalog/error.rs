//! What can go wrong in the catalog.

use crate::model::{Classify, Kind, TableName};

/// Errors of reading and changing the catalog.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CatalogError {
    #[error("database not found: {database:?}")]
    DatabaseNotFound { database: String },
    #[error("database {database:?} already exists")]
    DatabaseExists { database: String },
    /// It can still be recovered, so nothing is made in its place.
    #[error("database {database:?} already exists: it waits to be dropped, and can be recovered or dropped at once")]
    DatabaseDropping { database: String },
    /// The database exists with other options.
    #[error("retention policy conflicts with an existing policy")]
    PolicyConflict,
    #[error("retention policy not found: {policy}")]
    PolicyNotFound { policy: String },
    #[error("{table} has {max} deletes that are not made physical yet, try again later")]
    TooManyDeletes { table: TableName, max: usize },
    #[error("retention policy already exists")]
    PolicyExists,
    #[error("retention policy duration must be at least 1h0m0s")]
    PolicyDuration,
    #[error("retention policy duration must be greater than the shard duration")]
    ShardDuration,
    #[error("user already exists")]
    UserExists,
    #[error("user not found")]
    UserNotFound,
    #[error("role {role:?} already exists")]
    RoleExists { role: String },
    #[error("the role {role} is not there")]
    RoleNotFound { role: String },
    #[error("tenant {tenant:?} already exists")]
    TenantExists { tenant: String },
    #[error("tenant not found: {tenant:?}")]
    TenantNotFound { tenant: String },
    #[error("username required")]
    UsernameRequired,
    #[error("continuous query already exists")]
    ContinuousQueryExists,
    #[error("subscription already exists")]
    SubscriptionExists,
    #[error("subscription not found")]
    SubscriptionNotFound,
    #[error("{collection} holds as much as it may; remove something")]
    TooManyDocuments { collection: String },
    #[error("it nests too deeply to be kept")]
    TooDeep,
    /// Its rows are files outside of the store.
    #[error("{table:?} is an external table, which is only read")]
    ExternalTable { table: String },
    #[error("table not found: {table}")]
    TableNotFound { table: TableName },
    /// Someone else changed what the change was planned on; plan again.
    #[error("the catalog changed meanwhile: {what}")]
    Stale { what: String },
    #[error("invalid name {name:?}: {why}")]
    InvalidName { name: String, why: &'static str },
    #[error("{object} is damaged: {what}; restore it from a copy, the catalog cannot be read without it")]
    Corrupt { object: String, what: String },
    #[error("{object} has format {found}, this version reads up to {known}; use a newer tidegate")]
    NewerFormat { object: String, found: u32, known: u32 },
    #[error("the object store does not answer: {cause}")]
    Store { cause: std::sync::Arc<object_store::Error> },
    /// Someone opened the same writer later: this process must not commit, or it would undo what that one did.
    #[error(
        "writer {writer} was taken over by another process{}; this one must be stopped: its log folder, or a copy of it, is in use elsewhere",
        .by.as_deref().map(|name| format!(" ({name})")).unwrap_or_default()
    )]
    Fenced { writer: uuid::Uuid, by: Option<String> },
    #[error("this gateway only reads (server.role = \"read-only\"); send what changes anything to one that writes")]
    ReadOnly,
    /// Who planned the change refused it, and knows why.
    #[error("the change was refused")]
    Refused,
    #[error("the catalog is shutting down")]
    Closed,
    #[error("all numbers for names of this kind are used up")]
    UidsUsedUp,
    #[error("there are {max} annotations already, which is the most; delete some")]
    TooManyAnnotations { max: usize },
    #[error("all annotations together may have {max} bytes; delete some")]
    AnnotationsTooLarge { max: usize },
}

impl Classify for CatalogError {
    fn kind(&self) -> Kind {
        match self {
            CatalogError::DatabaseNotFound { .. }
            | CatalogError::PolicyNotFound { .. }
            | CatalogError::UserNotFound
            | CatalogError::RoleNotFound { .. }
            | CatalogError::TenantNotFound { .. }
            | CatalogError::SubscriptionNotFound
            | CatalogError::TableNotFound { .. } => Kind::NotFound,
            CatalogError::DatabaseExists { .. }
            | CatalogError::DatabaseDropping { .. }
            | CatalogError::PolicyExists
            | CatalogError::UserExists
            | CatalogError::RoleExists { .. }
            | CatalogError::TenantExists { .. }
            | CatalogError::ContinuousQueryExists
            | CatalogError::SubscriptionExists => Kind::AlreadyExists,
            CatalogError::PolicyConflict
            | CatalogError::ExternalTable { .. }
            | CatalogError::Stale { .. }
            | CatalogError::Refused => Kind::Conflict,
            CatalogError::TooManyDeletes { .. } => Kind::Overloaded,
            CatalogError::UidsUsedUp
            | CatalogError::TooManyAnnotations { .. }
            | CatalogError::AnnotationsTooLarge { .. } => Kind::TooLarge,
            CatalogError::InvalidName { .. }
            | CatalogError::TooManyDocuments { .. }
            | CatalogError::TooDeep
            | CatalogError::PolicyDuration
            | CatalogError::ShardDuration
            | CatalogError::UsernameRequired => Kind::Invalid,
            CatalogError::Corrupt { .. } | CatalogError::NewerFormat { .. } => Kind::Internal,
            CatalogError::ReadOnly => Kind::Forbidden,
            CatalogError::Store { .. } | CatalogError::Fenced { .. } | CatalogError::Closed => Kind::Unavailable,
        }
    }
}

impl From<object_store::Error> for CatalogError {
    fn from(cause: object_store::Error) -> Self {
        CatalogError::Store { cause: std::sync::Arc::new(cause) }
    }
}
