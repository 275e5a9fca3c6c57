use std::collections::BTreeSet;

use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use tempfile::TempDir;

use super::*;

fn exchange(prefixes: &[String], own: Own) -> Arc<Exchange> {
    Arc::new(Exchange::new(prefixes, own, StoreOptions::default()).unwrap())
}

fn url_of(path: &FilePath) -> String {
    format!("file://{}", path.display())
}

#[test]
fn locations_are_read_one_way() {
    let check = |url: &str, expected: Result<&str, &str>| match (Location::parse(url), expected) {
        (Ok(seen), Ok(expected)) => assert_eq!(seen.to_string(), expected, "{url}"),
        (Err(seen), Err(expected)) => assert!(seen.to_string().contains(expected), "{url}: {seen}"),
        (seen, _) => panic!("{url}: {seen:?}"),
    };
    check("file:///a/b%20c//d/", Ok("file:///a/b c/d"));
    check("FILE://localhost/a", Ok("file:///a"));
    check("s3://b/x/y.csv", Ok("s3://b/x/y.csv"));
    check("gcs://b", Ok("gs://b/"));
    check("azblob://c/x", Ok("az://c/x"));
    for dots in ["/a/../b", "/a/%2e%2e/b", "/a/.%2E/b", "/a/./b", "/..", "/a/%2e"] {
        check(&format!("file://{dots}"), Err("`.` or `..`"));
        check(&format!("s3://b{dots}"), Err("`.` or `..`"));
    }
    check("file:///a/%252e%252e/b", Err("`%`"));
    check("file:///a/..\\b", Err("backslash"));
    check("file:///a%00b", Err("control character"));
    check("file://host/a", Err("no host"));
    check("/a/b", Err("no scheme"));
    check("file:a", Err("no scheme"));
    check("http://127.0.0.1/a", Err("the scheme is unknown"));
    check("memory:///", Err("the scheme is unknown"));
    check("s3:///a", Err("the bucket"));
    check("s3://b?x=1", Err("`?`"));
    for secret in ["s3://key:hush@b/x", "https://b/x?sig=hush"] {
        let error = Location::parse(secret).unwrap_err().to_string();
        assert!(!error.contains("hush"), "{error}");
    }
}

#[test]
fn buckets_are_fenced_by_their_prefixes_and_the_own_store() {
    let own = Own { store: Some(StoreUrl::parse("s3://data/gate").unwrap()), paths: Vec::new() };
    let fence = exchange(&["s3://b/out/".to_string(), "s3://data".to_string()], own);
    let check = |url: &str, expected: Option<&str>| {
        let refusal = fence.locate(url).err().map(|error| error.to_string());
        assert_eq!(refusal.is_some(), expected.is_some(), "{url}: {refusal:?}");
        assert!(refusal.unwrap_or_default().contains(expected.unwrap_or_default()), "{url}");
    };
    check("s3://b/out", None);
    check("s3://b/out/x.csv", None);
    check("s3://data/other/x", None);
    check("s3://b/outer/x", Some("not below"));
    check("s3://b/x", Some("not below"));
    check("s3://c/out/x", Some("not below"));
    check("gs://b/out/x", Some("not below"));
    check("file:///out/x", Some("not below"));
    check("s3://data/gate", Some("the gateway's own"));
    check("s3://data/gate/catalog/1", Some("the gateway's own"));
    let off = exchange(&[], Own::default());
    assert!(off.locate("s3://b/out").unwrap_err().to_string().contains("`cnosdb.copy_prefixes`"));
}

#[tokio::test]
async fn links_lead_no_one_out_of_the_fence() {
    let root = TempDir::new().unwrap();
    let root = std::fs::canonicalize(root.path()).unwrap();
    for folder in ["in/own", "out"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    for file in ["in/a.csv", "in/.hidden.csv", "in/b.txt", "in/own/x.csv", "out/secret.csv"] {
        std::fs::write(root.join(file), "a\n1\n").unwrap();
    }
    std::os::unix::fs::symlink(root.join("in"), root.join("alias")).unwrap();
    let own = Own { store: None, paths: vec![root.join("in/own")] };
    let fence = exchange(&[url_of(&root.join("in"))], own);
    let find = async |path: &str| {
        let found = fence.find(&url_of(&root.join(path)), &Connection::default(), &[".csv"]).await;
        found.map(|found| found.files.len()).map_err(|error| error.to_string().replace(&*root.to_string_lossy(), ""))
    };
    assert_eq!(find("in/a.csv").await, Ok(1));
    assert_eq!(
        find("in/own").await,
        Err("\"file:///in/own\" is the gateway's own and cannot be read or written".into())
    );
    assert!(find("in").await.unwrap_err().contains("the gateway's own"));
    std::fs::remove_dir_all(root.join("in/own")).unwrap();
    assert_eq!(find("in").await, Ok(1));
    assert!(find("out/secret.csv").await.unwrap_err().contains("not below"));
    assert!(find("in/none").await.unwrap_err().contains("no file"));
    // A folder and a file that are links, and a name that is one after it was found.
    for (target, link) in [("out/secret.csv", "in/link.csv"), ("out", "in/folder")] {
        std::os::unix::fs::symlink(root.join(target), root.join(link)).unwrap();
        assert!(find(link).await.unwrap_err().contains("not below"), "{link}");
        assert!(find("in").await.unwrap_err().contains("not below"), "{link}");
        let inside = url_of(&root.join(link).join("new.csv"));
        assert!(fence.create(&inside, &Connection::default(), ".csv").await.is_err(), "{inside}");
        std::fs::remove_file(root.join(link)).unwrap();
    }
    let found = fence.find(&url_of(&root.join("in/a.csv")), &Connection::default(), &[".csv"]).await.unwrap();
    assert!(found.store.get(&found.files[0].location).await.is_ok());
    std::fs::remove_file(root.join("in/a.csv")).unwrap();
    std::os::unix::fs::symlink(root.join("out/secret.csv"), root.join("in/a.csv")).unwrap();
    assert!(matches!(
        found.store.get(&found.files[0].location).await,
        Err(object_store::Error::PermissionDenied { .. })
    ));
    let outside = Path::from_absolute_path(root.join("out/secret.csv")).unwrap();
    assert!(found.store.get(&outside).await.is_err());
    // What the setting says may be a link itself.
    let aliased = exchange(&[url_of(&root.join("alias"))], Own::default());
    assert!(aliased.create(&url_of(&root.join("alias/n.csv")), &Connection::default(), ".csv").await.is_ok());
}

#[tokio::test]
async fn a_file_is_whole_or_not_there() {
    let root = TempDir::new().unwrap();
    let root = std::fs::canonicalize(root.path()).unwrap();
    let fence = exchange(&[url_of(&root)], Own::default());
    let names = || -> BTreeSet<String> {
        std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let url = url_of(&root.join("x.csv"));
    let begin = async || fence.create(&url, &Connection::default(), ".csv").await;
    let mut left = begin().await.unwrap();
    left.write("half".into()).await.unwrap();
    assert!(!names().contains("x.csv"));
    drop(left);
    assert_eq!(names(), BTreeSet::new());
    let (mut first, second) = (begin().await.unwrap(), begin().await.unwrap());
    first.write("whole".into()).await.unwrap();
    first.finish().await.unwrap();
    assert!(matches!(second.finish().await, Err(ExchangeError::Exists { .. })));
    assert!(matches!(begin().await, Err(ExchangeError::Exists { .. })));
    assert_eq!(std::fs::read(root.join("x.csv")).unwrap(), b"whole");
    assert_eq!(names(), BTreeSet::from(["x.csv".to_string()]));
    let sink = fence.create(&url_of(&root.join("new/folder/")), &Connection::default(), ".csv").await.unwrap();
    assert!(sink.url().contains("/new/folder/") && sink.url().ends_with(".csv"), "{}", sink.url());
    sink.finish().await.unwrap();
}

#[tokio::test]
async fn an_object_is_whole_or_not_there() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let fence = exchange(&["s3://b/out/".to_string()], Own::default());
    let store: Arc<dyn ObjectStore> =
        Arc::new(FencedStore::of_bucket(inner.clone(), fence, (Cloud::S3, "b".to_string()), vec!["hush".to_string()]));
    let key = Path::from("out/x.csv");
    for bytes in [3, 9 * 1024 * 1024, 20 * 1024 * 1024] {
        let mut left = Sink::into_object(store.clone(), key.clone(), "url");
        left.write(vec![7; bytes].into()).await.unwrap();
        drop(left);
        assert!(inner.head(&key).await.is_err());
        let mut sink = Sink::into_object(store.clone(), key.clone(), "url");
        for part in vec![7; bytes].chunks(1_000_000) {
            sink.write(part.to_vec().into()).await.unwrap();
        }
        sink.finish().await.unwrap();
        assert_eq!(inner.head(&key).await.unwrap().size, bytes as u64);
        inner.delete(&key).await.unwrap();
    }
    let mut outside = Sink::into_object(store.clone(), Path::from("x.csv"), "url");
    outside.write("x".into()).await.unwrap();
    assert!(outside.finish().await.is_err());
    inner.put(&Path::from("secret"), "x".into()).await.unwrap();
    assert!(store.get(&Path::from("secret")).await.is_err());
    assert!(store.delete(&key).await.is_err() && store.copy(&key, &Path::from("out/y")).await.is_err());
}

#[test]
fn credentials_of_a_statement_replace_all_others_and_are_not_shown() {
    let variables = [("AWS_ACCESS_KEY_ID", "own"), ("AWS_SESSION_TOKEN", "own"), ("AWS_REGION", "r")];
    let environment = variables.into_iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let options = StoreOptions { environment, ..StoreOptions::default() };
    let mut connection = Connection::default();
    connection.set("ACCESS_KEY_ID", "hush-id".to_string()).unwrap();
    assert!(connection.applied_to(&options, Cloud::S3).is_err());
    connection.set("secret_key", "hush-key".to_string()).unwrap();
    let applied = connection.applied_to(&options, Cloud::S3).unwrap().environment;
    assert_eq!(applied.get("AWS_ACCESS_KEY_ID"), Some("hush-id"));
    assert_eq!((applied.get("AWS_SESSION_TOKEN"), applied.get("AWS_REGION")), (None, Some("r")));
    assert!(connection.applied_to(&options, Cloud::Azure).is_err());
    assert!(connection.set("endpoint_url", "http://127.0.0.1".to_string()).is_err());
    assert!(!format!("{connection:?}").contains("hush"));
    assert_eq!(connection.without_secrets("a hush-key b".to_string()), "a *** b");
}
