//! The S3 client and what stands around it, over a wire that fails: answers are lost, bodies cut, requests throttled.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, Error, ObjectStore, ObjectStoreExt, PutMode, RetryConfig};
use prometheus::Registry;
use tidegate::storage::create::create_own;
use tidegate::storage::patient::{Patience, PatientStore};
use tidegate::storage::wire::{CountingConnector, WireMetrics};

use crate::fake_s3::Illness::{CutBody, DoneAndHungUp, DoneAndStalled, DoneBut, HungUp, Refused, ShortBody};
use crate::fake_s3::{BUCKET, FakeS3, Illness};
use crate::http_gate::{Gate, eventually};

const RETRIES: usize = 3;
const TIMEOUT: Duration = Duration::from_millis(300);
/// Longer than anyone waits.
const STALL_MS: u64 = 1000;

struct Client {
    s3: FakeS3,
    store: PatientStore,
    registry: Registry,
}

impl Client {
    fn new() -> Client {
        let (s3, registry) = (FakeS3::start(), Registry::new());
        let backoff = Duration::from_millis(5);
        let retry = RetryConfig {
            backoff: BackoffConfig { init_backoff: backoff, max_backoff: backoff, base: 2.0 },
            max_retries: RETRIES,
            retry_timeout: Duration::from_secs(10),
        };
        let client = AmazonS3Builder::new()
            .with_bucket_name(BUCKET)
            .with_endpoint(s3.endpoint())
            .with_access_key_id("key")
            .with_secret_access_key("secret")
            .with_client_options(ClientOptions::new().with_timeout(TIMEOUT).with_allow_http(true))
            .with_http_connector(CountingConnector::new(WireMetrics::new(&registry).unwrap()))
            .with_retry(retry)
            .build()
            .unwrap();
        let patience =
            Patience { retries_max: RETRIES, backoff, backoff_max: backoff, time_max: Duration::from_secs(10) };
        Client { s3, store: PatientStore::new(Arc::new(client), patience, 7), registry }
    }

    /// The value of a counter with these labels.
    fn counted(&self, name: &str, labels: &str) -> u64 {
        let text = prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        let line = format!("{name}{{{labels}}} ");
        text.lines().find_map(|l| l.strip_prefix(&line)).unwrap_or_else(|| panic!("{line}: {text}")).parse().unwrap()
    }

    fn answers(&self, request: &str, answer: &str) -> u64 {
        let labels = format!("answer=\"{answer}\",request=\"{request}\"");
        self.counted("tidegate_object_store_http_requests_total", &labels)
    }

    fn retries(&self, request: &str) -> u64 {
        self.counted("tidegate_object_store_retries_total", &format!("request=\"{request}\""))
    }
}

fn body() -> Vec<u8> {
    (0..100_000u32).flat_map(u32::to_le_bytes).collect()
}

#[tokio::test]
async fn an_object_of_ones_own_is_there_whatever_became_of_the_answers() {
    let cases: [&[Illness]; 9] = [
        &[DoneAndHungUp],
        &[DoneAndStalled(STALL_MS)],
        &[DoneBut(503)],
        &[DoneBut(500), Refused(503)],
        // S3: "a conflicting operation is under way, try again"; the client calls it "already exists".
        &[Refused(409)],
        &[DoneBut(409)],
        &[HungUp, Refused(429)],
        &[Refused(409), Refused(409), DoneAndHungUp],
        &[Refused(503), Refused(503), Refused(503)],
    ];
    for illnesses in cases {
        let client = Client::new();
        let key = Path::from("a/b");
        client.s3.befall("PUT", illnesses.iter().copied());
        let created = create_own(&client.store, &key, Bytes::from(body())).await;
        assert!(created.is_ok(), "{illnesses:?}: {created:?}");
        assert_eq!(client.s3.object("a/b"), Some(body()), "{illnesses:?}");
    }
}

#[tokio::test]
async fn a_create_that_another_one_won_is_refused() {
    let client = Client::new();
    let key = Path::from("a");
    client.s3.replace("a", b"theirs");
    for illness in [Some(HungUp), Some(Refused(503)), None] {
        client.s3.befall("PUT", illness);
        let put = client.store.put_opts(&key, "ours".into(), PutMode::Create.into()).await;
        assert!(matches!(put, Err(Error::AlreadyExists { .. })), "{illness:?}: {put:?}");
        assert_eq!(client.s3.object("a"), Some(b"theirs".to_vec()), "{illness:?}");
    }
}

#[tokio::test]
async fn bodies_come_whole_or_not_at_all() {
    let whole = body();
    for (illness, tagged) in [(CutBody, true), (CutBody, false), (ShortBody, true), (ShortBody, false)] {
        for times in [1, 2, 100] {
            let client = Client::new();
            if !tagged {
                client.s3.forget_tags();
            }
            client.s3.replace("a", &whole);
            let ill = || client.s3.befall("GET", std::iter::repeat_n(illness, times));
            let key = Path::from("a");
            let check = |got: object_store::Result<Bytes>, right: &[u8], what: &str| match got {
                Ok(got) => {
                    assert!(times < 100 && got == right, "{illness:?} {times} times, {what}: {} bytes", got.len())
                }
                Err(error) => assert!(times == 100, "{illness:?} {times} times, {what}: {error}"),
            };
            ill();
            let range = client.store.get_range(&key, 1000..200_000).await;
            check(range, &whole[1000..200_000], "range");
            client.s3.recover();
            ill();
            // Near enough to be read in one request, and the second one in the half that does not come.
            let ranges = client.store.get_ranges(&key, &[0..10, 300_000..300_010]).await;
            check(
                ranges.map(|ranges| ranges.concat().into()),
                &[&whole[..10], &whole[300_000..300_010]].concat(),
                "ranges",
            );
            client.s3.recover();
            // That a whole object is shorter than it was only its reader can know, if the store says so.
            if illness != ShortBody {
                ill();
                let got = match client.store.get(&key).await {
                    Ok(found) => found.bytes().await,
                    Err(error) => Err(error),
                };
                check(got, &whole, "whole");
            }
        }
    }
}

#[tokio::test]
async fn halves_of_two_objects_do_not_make_one() {
    let client = Client::new();
    let (first, second) = (vec![1; 100_000], vec![2; 100_000]);
    client.s3.replace("a", &first);
    client.s3.befall("GET", [ShortBody]);
    let found =
        client.store.get_opts(&"a".into(), object_store::GetOptions::new().with_range(Some(0..100_000u64))).await;
    client.s3.replace("a", &second);
    let error = found.unwrap().bytes().await.unwrap_err();
    assert!(error.to_string().contains("50000 bytes in place of 100000"), "{error}");
}

#[tokio::test]
async fn listings_are_whole_or_fail() {
    let client = Client::new();
    for i in 0..10 {
        client.s3.replace(&format!("p/{i}"), b"x");
    }
    let list = || client.store.list(Some(&Path::from("p"))).try_collect::<Vec<_>>();
    for illness in [CutBody, HungUp, Refused(503), Refused(500)] {
        client.s3.befall("LIST", [illness]);
        assert_eq!(list().await.unwrap().len(), 10, "{illness:?} on the first page");
    }
    // On a later page the client repeats what got no answer; a page that breaks off is an error.
    client.s3.befall_often("LIST", 3, Refused(503));
    assert_eq!(list().await.unwrap().len(), 10);
    client.s3.recover();
    client.s3.befall_often("LIST", 3, CutBody);
    assert!(list().await.is_err());
}

#[tokio::test]
async fn patience_is_bounded_and_not_multiplied() {
    let client = Client::new();
    client.s3.replace("a", b"x");
    let since = Instant::now();
    for illness in [Refused(503), Refused(429), Refused(500), HungUp] {
        for kind in ["PUT", "GET", "LIST"] {
            client.s3.befall_often(kind, 1, illness);
            let before = client.s3.seen(kind);
            let key = Path::from("b");
            let failed = match kind {
                "PUT" => client.store.put_opts(&key, "x".into(), PutMode::Create.into()).await.is_err(),
                "GET" => client.store.get(&key).await.is_err(),
                _ => client.store.list(None).try_collect::<Vec<_>>().await.is_err(),
            };
            assert!(failed, "{kind}, {illness:?}");
            let requests = client.s3.seen(kind) - before;
            assert_eq!(requests, 1 + RETRIES, "{kind}, {illness:?}");
            client.s3.recover();
        }
    }
    // What the client does not repeat, is repeated here.
    client.s3.befall_often("PUT", 1, DoneAndStalled(STALL_MS));
    let before = client.s3.seen("PUT");
    let put = client.store.put_opts(&"c".into(), "x".into(), PutMode::Create.into()).await;
    assert!(put.is_err());
    assert_eq!(client.s3.seen("PUT") - before, 1 + RETRIES);
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
}

#[tokio::test]
async fn what_goes_over_the_wire_is_counted() {
    let client = Client::new();
    let key = Path::from("a");
    client.s3.befall("PUT", [Refused(503), Refused(429), DoneAndHungUp]);
    create_own(&client.store, &key, Bytes::from_static(b"hello")).await.unwrap();
    assert_eq!((client.answers("put", "503"), client.answers("put", "429")), (1, 1));
    // The fourth one finds the object there.
    assert_eq!((client.answers("put", "no_answer"), client.answers("put", "412")), (1, 1));
    assert_eq!((client.retries("put"), client.answers("head", "2xx")), (3, 1));
    client.s3.befall("GET", [ShortBody]);
    client.store.get_range(&key, 0..5).await.unwrap();
    assert_eq!((client.answers("get", "2xx"), client.retries("get")), (2, 1));
    client.store.get(&"absent".into()).await.unwrap_err();
    assert_eq!((client.answers("get", "404"), client.retries("get")), (1, 1));
    client.s3.befall("GET", [DoneAndStalled(STALL_MS)]);
    client.store.get(&key).await.unwrap().bytes().await.unwrap();
    assert_eq!((client.answers("get", "timeout"), client.retries("get")), (1, 2));
    (0..5).for_each(|i| client.s3.replace(&format!("p/{i}"), b"x"));
    client.store.list(Some(&"p".into())).try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(client.answers("list", "2xx"), 2, "a page each");
    client.store.delete(&key).await.unwrap();
    assert_eq!(client.answers("post", "2xx") + client.answers("delete", "2xx"), 1);
}

/// A gateway as a process over a wire on which one request in a few fails.
#[test]
fn a_gateway_over_a_bad_wire_keeps_what_it_acknowledged() {
    let s3 = FakeS3::start();
    let endpoint = s3.endpoint();
    let settings = [
        ("storage.url", "s3://bucket/some/prefix"),
        ("storage.endpoint", endpoint.as_str()),
        ("storage.allow_http", "true"),
        ("storage.request_timeout_ms", "500"),
        ("storage.retry_backoff_ms", "5"),
        ("buffer.flush_age_ms", "30"),
        ("buffer.flush_small_age_ms", "30"),
        ("compaction.interval_ms", "100"),
        ("compaction.files_min", "2"),
        ("catalog.snapshot_every", "5"),
    ];
    let environment = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "us-east-1")];
    let mut gate = Gate::start_not_ready(&settings, &environment);
    gate.wait_until_ready();
    gate.create_database("d");
    gate.write("d", "m,host=a f=0 0");
    let ill = || {
        for (every, illness) in
            [(5, DoneAndHungUp), (7, Refused(503)), (11, DoneBut(500)), (13, Refused(409)), (17, DoneAndStalled(700))]
        {
            s3.befall_often("PUT", every, illness);
        }
        for (every, illness) in [(5, CutBody), (7, Refused(429)), (13, HungUp)] {
            s3.befall_often("GET", every, illness);
        }
        s3.befall_often("LIST", 4, HungUp);
        s3.befall_often("HEAD", 6, HungUp);
    };
    ill();
    for i in 1..=60 {
        gate.write("d", &format!("m,host=a f={i} {i}\nm,host=b f={i} {i}"));
        std::thread::sleep(Duration::from_millis(20));
        if i == 30 {
            s3.recover();
            gate.kill_and_restart();
            ill();
        }
    }
    // Not all at once, and again and again: each time the answer is right, or there is none.
    let count = "select count(*), sum(f) from m";
    eventually("the flushes have come through", || gate.metric("tidegate_buffer_bytes", "") == 0.0);
    let metric = |labels: &str| gate.metric("tidegate_object_store_http_requests_total", labels);
    eventually("throttling shows", || metric("answer=\"503\",request=\"put\"") > 0.0);
    assert!(metric("answer=\"2xx\",request=\"put\"") > 0.0);
    assert!(gate.metric("tidegate_object_store_retries_total", "request=\"put\"") > 0.0);
    s3.recover();
    let right = gate.sql("d", count);
    gate.kill_and_restart();
    let again = gate.sql("d", count);
    assert_eq!(right, again);
    assert!(again.contains("121,3660.0"), "{again}");
}
