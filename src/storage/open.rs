//! From `storage.url` to an object store.
//!
//! Owns: what the setting may say, how patient the clients are, and the check that a store refuses a second create.
//! Credentials come from where each cloud's own tools find them (`AWS_…`, `GOOGLE_…`, `AZURE_…` variables, AWS profiles, the
//! machine's role); a URL that holds some is refused, and no error text ever shows them.

use std::fmt;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::AmazonS3ConfigKey;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    BackoffConfig, Certificate, ClientConfigKey, ClientOptions, ObjectStore, ObjectStoreExt, PutMode, PutPayload,
    RetryConfig,
};
use percent_encoding::percent_decode_str;
use tracing::warn;
use url::Url;
use uuid::Uuid;

use super::aws;
use super::aws_profile::ProfileError;
use super::create::create_own;
use super::environment::Environment;
use super::fs::{FileSystem, OsFileSystem};
use super::layout;
use super::local::DurableLocal;
use super::patient::{Patience, PatientStore};
use super::read_only::ReadOnlyStore;
use super::wire::{CountingConnector, WireMetrics};
use crate::model::{Classify, Kind};

const URL_FORMS: &str = "file:///folder, file:./folder, s3://bucket/prefix, gs://bucket/prefix, \
                         az://container/prefix or memory:///";

/// What the probe writes.
const PROBE: &[u8] = b"probe\n";

/// Longest pause between two tries, unless the first one is set to be longer.
pub const RETRY_BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Where objects are kept. Prints as the setting does, and holds no credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A folder of this machine. A relative one counts from the working directory.
    Folder(PathBuf),
    /// Nowhere: all is lost when the process ends.
    Memory,
    /// A bucket (Azure: container), and the prefix of every key in it.
    Bucket { cloud: Cloud, bucket: String, prefix: Path },
}

/// Who keeps a bucket. S3 stands for everything that speaks its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    S3,
    Google,
    Azure,
}

impl Cloud {
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Cloud::S3 => "s3",
            Cloud::Google => "gs",
            Cloud::Azure => "az",
        }
    }
}

/// How a remote store is reached. The default suits the clouds themselves.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where credentials and the clouds' own variables are found. Default: empty.
    pub environment: Environment,
    /// S3 only: where to find a store that is not Amazon's.
    pub endpoint: Option<String>,
    /// Allows `http://` endpoints.
    pub allow_http: bool,
    /// S3 only: the bucket is part of the host name (the endpoint's, if there is one) instead of the path.
    pub virtual_hosted_style: bool,
    /// PEM file of certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    pub connect_timeout: Duration,
    /// Of one request, its body included.
    pub request_timeout: Duration,
    /// Tries after the first one.
    pub retries_max: usize,
    /// Pause before the second try; later ones are up to twice as long each, to [`RETRY_BACKOFF_MAX`].
    pub retry_backoff: Duration,
    /// No try starts later than this after the first one.
    pub retry_timeout: Duration,
    /// Spreads the pauses of processes that failed at the same time: should differ between them.
    pub jitter_seed: u64,
    /// Counts what goes over the wire.
    pub wire: Option<WireMetrics>,
}

impl Default for StoreOptions {
    /// Far less patient than the client's own three minutes: who waits here holds up a flush or a query, and tries
    /// again himself.
    fn default() -> Self {
        StoreOptions {
            environment: Environment::default(),
            endpoint: None,
            allow_http: false,
            virtual_hosted_style: false,
            ca_file: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            retries_max: 3,
            retry_backoff: Duration::from_millis(100),
            retry_timeout: Duration::from_secs(10),
            jitter_seed: 0,
            wire: None,
        }
    }
}

/// Why the store cannot be opened or used. Texts name the setting that is to blame.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("storage.url {url:?}: {problem}; expected {URL_FORMS}")]
    Url { url: String, problem: String },
    #[error("storage.url {url}: the folder cannot be used: {source}")]
    Folder { url: StoreUrl, source: io::Error },
    #[error("storage.{setting} {value:?}: {problem}")]
    Option { setting: &'static str, value: String, problem: String },
    #[error("{variable} {value:?}: {problem}")]
    Variable { variable: &'static str, value: String, problem: &'static str },
    #[error("storage.url: no credentials: {source}")]
    Profile { source: ProfileError },
    #[error("storage.url {url}: the client cannot be set up: {source}")]
    Client { url: StoreUrl, source: object_store::Error },
    #[error("storage.url {url}: the store refuses the credentials it is given (or there are none): {source}")]
    Refused { url: StoreUrl, source: object_store::Error },
    #[error("storage.url: the store cannot {action}: {source}")]
    Request { action: &'static str, source: object_store::Error },
}

impl Classify for StoreError {
    fn kind(&self) -> Kind {
        match self {
            StoreError::Url { .. }
            | StoreError::Option { .. }
            | StoreError::Variable { .. }
            | StoreError::Profile { .. }
            | StoreError::Client { .. } => Kind::Invalid,
            StoreError::Refused { .. } => Kind::Unauthenticated,
            StoreError::Folder { .. } | StoreError::Request { .. } => Kind::Unavailable,
        }
    }
}

impl StoreUrl {
    /// Reads the setting `storage.url`.
    pub fn parse(text: &str) -> Result<StoreUrl, StoreError> {
        let refused = |problem: &str| StoreError::Url { url: redact(text), problem: problem.to_string() };
        let (scheme, rest) = text.split_once(':').ok_or_else(|| refused("there is no scheme"))?;
        let cloud = match scheme.to_ascii_lowercase().as_str() {
            "file" => return parse_folder(rest).map(StoreUrl::Folder).map_err(refused),
            "memory" if rest.chars().all(|c| c == '/') => return Ok(StoreUrl::Memory),
            "memory" => return Err(refused("a store in memory has no path")),
            "s3" => Cloud::S3,
            "gs" => Cloud::Google,
            "az" => Cloud::Azure,
            _ => return Err(refused("the scheme is unknown")),
        };
        let url = Url::parse(text).map_err(|e| refused(&e.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("credentials do not belong here but into the environment"));
        }
        if url.query().is_some() || url.fragment().is_some() || url.port().is_some() {
            return Err(refused("only a bucket and a prefix are allowed"));
        }
        let bucket = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| refused("the bucket is missing"))?;
        let prefix = Path::from_url_path(url.path()).map_err(|_| refused("the prefix is no path"))?;
        Ok(StoreUrl::Bucket { cloud, bucket: bucket.to_string(), prefix })
    }
}

/// What comes after `file:`: `///folder`, `//localhost/folder`, `/folder` or a relative `./folder`; `%20` is a space.
fn parse_folder(rest: &str) -> Result<PathBuf, &'static str> {
    let path = match rest.strip_prefix("//") {
        Some(after) => after.strip_prefix("localhost").unwrap_or(after),
        None => rest,
    };
    if rest.starts_with("//") && !path.starts_with('/') {
        return Err("a folder has no host: three slashes make an absolute path, none a relative one");
    }
    let path = percent_decode_str(path).decode_utf8().map_err(|_| "the path is not UTF-8")?;
    if path.is_empty() || path.contains('\0') {
        return Err("the path is missing");
    }
    Ok(PathBuf::from(path.into_owned()))
}

/// `text`, but only its scheme if a user and password or a signature may be in it.
pub(super) fn redact(text: &str) -> String {
    match text.split_once(':') {
        Some((scheme, rest)) if scheme != "file" && rest.contains(['@', '?']) => format!("{scheme}://***"),
        _ => text.to_string(),
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreUrl::Folder(path) if path.is_absolute() => write!(f, "file://{}", path.display()),
            StoreUrl::Folder(path) => write!(f, "file:{}", path.display()),
            StoreUrl::Memory => f.write_str("memory:///"),
            StoreUrl::Bucket { cloud, bucket, prefix } => write!(f, "{}://{bucket}/{prefix}", cloud.scheme()),
        }
    }
}

/// Opens the store at `url`; `fs` is what a folder is written through. No request is made: whether a remote store
/// answers, [`probe_put_if_absent`] tells. Blocks for a folder.
pub fn open_store(
    url: &StoreUrl,
    options: &StoreOptions,
    fs: Arc<dyn FileSystem>,
) -> Result<Arc<dyn ObjectStore>, StoreError> {
    match url {
        StoreUrl::Memory => Ok(Arc::new(InMemory::new())),
        StoreUrl::Folder(folder) => {
            let opened = DurableLocal::open(folder, fs);
            Ok(Arc::new(opened.map_err(|source| StoreError::Folder { url: url.clone(), source })?))
        }
        StoreUrl::Bucket { cloud, bucket, prefix } => {
            let store = match cloud {
                Cloud::S3 => open_s3(bucket, options)?,
                Cloud::Google => open_google(bucket, options)?,
                Cloud::Azure => open_azure(bucket, options)?,
            };
            let store = store.map_err(|source| StoreError::Client { url: url.clone(), source })?;
            let store = PatientStore::new(store, patience(options), options.jitter_seed);
            if prefix.is_root() { Ok(Arc::new(store)) } else { Ok(Arc::new(PrefixStore::new(store, prefix.clone()))) }
        }
    }
}

/// Opens the store at `url` for a process that only reads. A folder must exist; nothing in it is touched.
pub fn open_to_read(url: &StoreUrl, options: &StoreOptions) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let store: Arc<dyn ObjectStore> = match url {
        StoreUrl::Folder(folder) => {
            let opened = LocalFileSystem::new_with_prefix(folder).map_err(std::io::Error::other);
            Arc::new(opened.map_err(|source| StoreError::Folder { url: url.clone(), source })?)
        }
        other => open_store(other, options, Arc::new(OsFileSystem))?,
    };
    Ok(Arc::new(ReadOnlyStore::new(store)))
}

type Built = object_store::Result<Arc<dyn ObjectStore>>;

fn open_s3(bucket: &str, options: &StoreOptions) -> Result<Built, StoreError> {
    let client = client_options(options, "AWS_", |key| match key.parse() {
        Ok(AmazonS3ConfigKey::Client(key)) => Some(key),
        _ => None,
    })?;
    let plain_allowed = client.get_config_value(&ClientConfigKey::AllowHttp).is_some_and(|allow| allow == "true");
    let mut s3 = aws::Client::configure(&options.environment).map_err(|source| StoreError::Profile { source })?;
    let mut builder = s3.builder.with_bucket_name(bucket).with_retry(retries(options));
    match &options.endpoint {
        // As the key that outweighs all variables.
        Some(endpoint) => {
            check_endpoint(endpoint, plain_allowed)?;
            builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
        }
        None => check_endpoint_variables(&options.environment, plain_allowed)?,
    }
    if options.virtual_hosted_style {
        builder = builder.with_virtual_hosted_style_request(true);
    }
    if let Some(wire) = &options.wire {
        builder = builder.with_http_connector(CountingConnector::new(wire.clone()));
    }
    s3.builder = builder.with_client_options(client);
    Ok(s3.build().map(|store| Arc::new(store) as _))
}

fn open_google(bucket: &str, options: &StoreOptions) -> Result<Built, StoreError> {
    let client = client_options(options, "GOOGLE_", |key| match key.parse() {
        Ok(GoogleConfigKey::Client(key)) => Some(key),
        _ => None,
    })?;
    let mut builder = GoogleCloudStorageBuilder::new().with_bucket_name(bucket).with_retry(retries(options));
    if let Some(wire) = &options.wire {
        builder = builder.with_http_connector(CountingConnector::new(wire.clone()));
    }
    if let Some(file) = options.environment.get("SERVICE_ACCOUNT") {
        builder = builder.with_service_account_path(file);
    }
    for (key, value) in options.environment.keys("GOOGLE_") {
        if let Ok(key) = key.parse() {
            builder = builder.with_config(key, value);
        }
    }
    Ok(builder.with_client_options(client).build().map(|store| Arc::new(store) as _))
}

fn open_azure(container: &str, options: &StoreOptions) -> Result<Built, StoreError> {
    let client = client_options(options, "AZURE_", |key| match key.parse() {
        Ok(AzureConfigKey::Client(key)) => Some(key),
        _ => None,
    })?;
    let mut builder = MicrosoftAzureBuilder::new().with_container_name(container).with_retry(retries(options));
    if let Some(wire) = &options.wire {
        builder = builder.with_http_connector(CountingConnector::new(wire.clone()));
    }
    for (key, value) in options.environment.keys("AZURE_") {
        if let Ok(key) = key.parse() {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = options.environment.get("IDENTITY_ENDPOINT") {
        builder = builder.with_msi_endpoint(endpoint);
    }
    Ok(builder.with_client_options(client).build().map(|store| Arc::new(store) as _))
}

fn check_endpoint(endpoint: &str, plain_allowed: bool) -> Result<(), StoreError> {
    let refused =
        |problem| StoreError::Option { setting: "endpoint", value: redact(endpoint), problem: str::to_string(problem) };
    endpoint_problem(endpoint, plain_allowed).map_or(Ok(()), |problem| Err(refused(problem)))
}

/// The same for the variables that say where S3 is; the first one that is set counts.
fn check_endpoint_variables(environment: &Environment, plain_allowed: bool) -> Result<(), StoreError> {
    for variable in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"] {
        let Some(value) = environment.get(variable) else { continue };
        let refused = |problem| StoreError::Variable { variable, value: redact(value), problem };
        return endpoint_problem(value, plain_allowed).map_or(Ok(()), |problem| Err(refused(problem)));
    }
    Ok(())
}

fn endpoint_problem(endpoint: &str, plain_allowed: bool) -> Option<&'static str> {
    match Url::parse(endpoint) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Some("credentials do not belong here but into the environment")
        }
        Ok(url) if url.scheme() == "http" && !plain_allowed => {
            Some("not encrypted; set storage.allow_http to allow that")
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") => None,
        _ => Some("expected http://host:port or https://host:port"),
    }
}

/// What the client repeats by itself: 5xx, 429, refused connections, and time-outs of what is safe to repeat.
fn retries(options: &StoreOptions) -> RetryConfig {
    let Patience { retries_max, backoff, backoff_max, time_max } = patience(options);
    let backoff = BackoffConfig { init_backoff: backoff, max_backoff: backoff_max, base: 2.0 };
    RetryConfig { backoff, max_retries: retries_max, retry_timeout: time_max }
}

fn patience(options: &StoreOptions) -> Patience {
    Patience {
        retries_max: options.retries_max,
        backoff: options.retry_backoff,
        backoff_max: RETRY_BACKOFF_MAX.max(options.retry_backoff),
        time_max: options.retry_timeout,
    }
}

/// The HTTP client's options: the cloud's own environment variables (`AWS_ALLOW_HTTP`, `AWS_PROXY_URL`, …) first, which
/// setting a builder's client options would otherwise throw away, then ours.
fn client_options(
    options: &StoreOptions,
    environment_prefix: &str,
    client_key: impl Fn(&str) -> Option<ClientConfigKey>,
) -> Result<ClientOptions, StoreError> {
    let mut client = ClientOptions::new();
    for (name, value) in options.environment.keys(environment_prefix) {
        if let Some(key) = client_key(&name) {
            client = client.with_config(key, value);
        }
    }
    client = client.with_timeout(options.request_timeout).with_connect_timeout(options.connect_timeout);
    if options.allow_http {
        client = client.with_allow_http(true);
    }
    if let Some(file) = &options.ca_file {
        for certificate in read_certificates(file)? {
            client = client.with_root_certificate(certificate);
        }
    }
    Ok(client)
}

fn read_certificates(file: &FilePath) -> Result<Vec<Certificate>, StoreError> {
    let refused =
        |problem: String| StoreError::Option { setting: "ca_file", value: file.display().to_string(), problem };
    let pem = std::fs::read(file).map_err(|e| refused(e.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|e| refused(e.to_string()))?;
    if certificates.is_empty() {
        return Err(refused("there is no certificate in it".to_string()));
    }
    Ok(certificates)
}

/// Whether `store` refuses to create what exists, which commits of several writers hang on. Also shows that it can be
/// reached and written to. What it writes, it removes.
pub async fn probe_put_if_absent(store: &dyn ObjectStore) -> Result<bool, StoreError> {
    let key = layout::probe_key(Uuid::new_v4());
    match create_own(store, &key, Bytes::from_static(PROBE)).await {
        Ok(()) => {}
        Err(object_store::Error::NotImplemented { .. }) => return Ok(false),
        Err(source) => return Err(StoreError::Request { action: "create an object", source }),
    }
    let again = store.put_opts(&key, PutPayload::from_static(PROBE), PutMode::Create.into()).await;
    match store.delete(&key).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
        // It is in nobody's way.
        Err(error) => warn!(%key, %error, "the probe object stays behind"),
    }
    match again {
        Err(object_store::Error::AlreadyExists { .. }) => Ok(true),
        Ok(_) | Err(object_store::Error::NotImplemented { .. }) => Ok(false),
        Err(source) => Err(StoreError::Request { action: "create an object twice", source }),
    }
}

#[cfg(test)]
pub(crate) mod tests;
