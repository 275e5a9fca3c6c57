use object_store::PutOptions;
use object_store::aws::AmazonS3Builder;

use super::*;
use crate::storage::fs::OsFileSystem;
use crate::storage::metered::MeteredStore;

fn open(url: &str, options: &StoreOptions) -> Result<Arc<dyn ObjectStore>, StoreError> {
    open_store(&StoreUrl::parse(url)?, options, Arc::new(OsFileSystem))
}

fn with_environment(variables: &[(&str, &str)]) -> StoreOptions {
    let environment = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    StoreOptions { environment, ..Default::default() }
}

#[test]
fn urls_are_read_and_printed_back() {
    let folder = |path: &str| StoreUrl::Folder(PathBuf::from(path));
    let bucket = |cloud, bucket: &str, prefix: &str| StoreUrl::Bucket {
        cloud,
        bucket: bucket.to_string(),
        prefix: Path::from(prefix),
    };
    let check = |text: &str, expected: StoreUrl, printed: &str| {
        assert_eq!(StoreUrl::parse(text).unwrap(), expected, "{text}");
        assert_eq!(expected.to_string(), printed, "{text}");
        assert_eq!(StoreUrl::parse(printed).unwrap(), expected, "{text}");
    };
    check("file:///var/lib/x", folder("/var/lib/x"), "file:///var/lib/x");
    check("file:/var/lib/x", folder("/var/lib/x"), "file:///var/lib/x");
    check("file://localhost/x", folder("/x"), "file:///x");
    check("FILE:./data/store", folder("./data/store"), "file:./data/store");
    check("file:store", folder("store"), "file:store");
    check("file:///a%20b#c", folder("/a b#c"), "file:///a b#c");
    check("memory:///", StoreUrl::Memory, "memory:///");
    check("memory:", StoreUrl::Memory, "memory:///");
    check("s3://bucket", bucket(Cloud::S3, "bucket", ""), "s3://bucket/");
    check("s3://my_bucket.x/a/b/", bucket(Cloud::S3, "my_bucket.x", "a/b"), "s3://my_bucket.x/a/b");
    check("gs://bucket/a", bucket(Cloud::Google, "bucket", "a"), "gs://bucket/a");
    check("az://container/a", bucket(Cloud::Azure, "container", "a"), "az://container/a");
}

#[test]
fn urls_that_cannot_be_meant_are_refused_without_their_secrets() {
    let check = |text: &str, shown: &str, problem: &str| {
        let error = StoreUrl::parse(text).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with(&format!("storage.url {shown:?}: {problem}")), "{message}");
        assert!(!message.contains("secret"), "{message}");
        assert!(message.contains("expected file:///folder"), "{message}");
        assert_eq!(error.kind(), Kind::Invalid);
    };
    check("", "", "there is no scheme");
    check("/var/lib/x", "/var/lib/x", "there is no scheme");
    check("http://x/y", "http://x/y", "the scheme is unknown");
    check("http://u:secret@x/y", "http://***", "the scheme is unknown");
    check("file:", "file:", "the path is missing");
    check("file://host/x", "file://host/x", "a folder has no host");
    check("file:///%ff", "file:///%ff", "the path is not UTF-8");
    check("memory:///x", "memory:///x", "a store in memory has no path");
    check("s3:///prefix", "s3:///prefix", "the bucket is missing");
    check("s3:bucket", "s3:bucket", "the bucket is missing");
    check("s3://key:secret@bucket/a", "s3://***", "credentials do not belong here");
    check("s3://key@bucket/a", "s3://***", "credentials do not belong here");
    check("s3://key:sec?secret@bucket/a", "s3://***", "");
    check("az://container/a?sig=secret", "az://***", "only a bucket and a prefix are allowed");
    check("s3://bucket:9000/a", "s3://bucket:9000/a", "only a bucket and a prefix are allowed");
    check("s3://bucket/a//b", "s3://bucket/a//b", "the prefix is no path");
}

#[tokio::test]
async fn a_missing_folder_is_made_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}/new%20folder/store", folder.path().display());
    let options = StoreOptions::default();
    open(&url, &options).unwrap().put(&"a".into(), "x".into()).await.unwrap();
    assert_eq!(std::fs::read(folder.path().join("new folder/store/a")).unwrap(), b"x");
    assert_eq!(open(&url, &options).unwrap().head(&"a".into()).await.unwrap().size, 1);

    std::fs::write(folder.path().join("file"), "").unwrap();
    let error = open(&format!("file://{}/file", folder.path().display()), &options).unwrap_err();
    assert!(error.to_string().starts_with("storage.url file:///"), "{error}");
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[test]
fn options_that_cannot_work_are_refused_by_name() {
    let check = |options: StoreOptions, expected: &str| {
        let error = open("s3://bucket/a", &options).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
        assert_eq!(error.kind(), Kind::Invalid);
    };
    let endpoint = |text: &str| StoreOptions { endpoint: Some(text.to_string()), ..Default::default() };
    check(endpoint("http://127.0.0.1:9000"), "storage.endpoint \"http://127.0.0.1:9000\": not encrypted; set storage.");
    check(endpoint("localhost:9000"), "storage.endpoint \"localhost:9000\": expected http://host:port");
    check(endpoint("https://u:secret@x"), "storage.endpoint \"https://***\": credentials do not belong here");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| StoreOptions { ca_file: Some(folder.path().join(name)), ..Default::default() };
    std::fs::write(folder.path().join("empty"), "").unwrap();
    check(file("empty"), &format!("storage.ca_file \"{}/empty\": there is no certificate", folder.path().display()));
    check(file("absent"), &format!("storage.ca_file \"{}/absent\": No such file", folder.path().display()));
    check(file("."), &format!("storage.ca_file \"{}/.\": ", folder.path().display()));
}

#[test]
fn variables_that_cannot_work_are_refused_by_name_and_without_their_secrets() {
    let check = |variables: &[(&str, &str)], expected: &str| {
        let error = open("s3://bucket/a", &with_environment(variables)).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
        assert!(!error.to_string().contains("hush"), "{error}");
        assert_eq!(error.kind(), Kind::Invalid);
    };
    check(
        &[("AWS_ENDPOINT_URL", "http://x:1")],
        "AWS_ENDPOINT_URL \"http://x:1\": not encrypted; set storage.allow_http",
    );
    check(
        &[("AWS_ENDPOINT_URL_S3", "x:1"), ("AWS_ENDPOINT_URL", "https://x")],
        "AWS_ENDPOINT_URL_S3 \"x:1\": expected",
    );
    check(&[("AWS_ENDPOINT", "https://u:hush@x")], "AWS_ENDPOINT \"https://***\": credentials do not");
    check(
        &[("AWS_SECRET_ACCESS_KEY", "hush")],
        "storage.url s3://bucket/a: the client cannot be set up: Generic S3 error: Missing AccessKeyId",
    );
    check(
        &[("AWS_PROFILE", "x"), ("HOME", "/nowhere")],
        "storage.url: no credentials: profile \"x\" is in none of /nowhere/.aws/cred",
    );
    let options =
        with_environment(&[("AWS_ENDPOINT_URL", "http://x:1"), ("AWS_ALLOW_HTTP", "true"), ("AWS_SESSION_TOKEN", "")]);
    open("s3://bucket/a", &options).unwrap();
}

#[test]
fn buckets_open_without_a_request() {
    let options = StoreOptions {
        endpoint: Some("http://127.0.0.1:9".to_string()),
        allow_http: true,
        virtual_hosted_style: true,
        ..Default::default()
    };
    open("s3://bucket/a/b", &options).unwrap();
    open("gs://bucket", &StoreOptions::default()).unwrap();
    // The account's name comes from the environment.
    let error = open("az://container", &StoreOptions::default()).unwrap_err();
    assert!(error.to_string().starts_with("storage.url az://container/: the client"), "{error}");
    open("az://container", &with_environment(&[("AZURE_STORAGE_ACCOUNT_NAME", "account")])).unwrap();
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_given_up_soon() {
    // Nobody listens there: bound, and closed again.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let store = AmazonS3Builder::new()
        .with_bucket_name("b")
        .with_endpoint(endpoint)
        .with_access_key_id("key")
        .with_secret_access_key("secret")
        .with_allow_http(true)
        .with_retry(retries(&StoreOptions { retries_max: 1, ..Default::default() }))
        .build()
        .unwrap();
    let error = probe_put_if_absent(&store).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().starts_with("storage.url: the store cannot create an object: "), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

/// A store that takes every create for an overwrite, as some that speak S3 do.
#[derive(Debug)]
pub(crate) struct Forgetful(pub(crate) InMemory);

impl fmt::Display for Forgetful {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Forgetful")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Forgetful {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        _: PutOptions,
    ) -> object_store::Result<object_store::PutResult> {
        self.0.put(location, payload).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: object_store::PutMultipartOptions,
    ) -> object_store::Result<Box<dyn object_store::MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }

    async fn get_opts(
        &self,
        location: &Path,
        options: object_store::GetOptions,
    ) -> object_store::Result<object_store::GetResult> {
        self.0.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: futures::stream::BoxStream<'static, object_store::Result<Path>>,
    ) -> futures::stream::BoxStream<'static, object_store::Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(
        &self,
        prefix: Option<&Path>,
    ) -> futures::stream::BoxStream<'static, object_store::Result<object_store::ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<object_store::ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: object_store::CopyOptions) -> object_store::Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

#[tokio::test]
async fn the_probe_tells_who_refuses_a_second_create_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let local = open(&format!("file://{}", folder.path().display()), &StoreOptions::default()).unwrap();
    let metered = MeteredStore::new(local.clone(), &prometheus::Registry::new()).unwrap();
    let stores: [(Arc<dyn ObjectStore>, bool); 4] = [
        (local, true),
        (Arc::new(metered), true),
        (Arc::new(InMemory::new()), true),
        (Arc::new(Forgetful(InMemory::new())), false),
    ];
    for (store, refuses) in stores {
        assert_eq!(probe_put_if_absent(&store).await.unwrap(), refuses, "{store}");
        assert!(futures::StreamExt::next(&mut store.list(None)).await.is_none(), "{store}");
    }
}
