//! MinIO as a process of its own on loopback: an S3 store that can be killed, frozen and started again.
//!
//! Owns: ports, folder, credentials, buckets, certificates, a client. Each start has random credentials that only this
//! process and the gateways it starts know. The program comes from `tools/object_store.sh`.

// Each test binary uses a part of it.
#![allow(dead_code)]

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::aws::{AmazonS3, AmazonS3Builder, AwsAuthorizer, AwsCredential};
use object_store::client::HttpRequestBody;
use object_store::{BackoffConfig, Certificate, ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use tempfile::TempDir;

/// The bucket that every start has.
pub const BUCKET: &str = "bucket";
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// What clients have to be told that differs between ways to reach a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// Plain HTTP, the bucket in the path.
    Plainly,
    /// TLS under a certificate authority that no one else knows.
    OverTls,
    /// Plain HTTP, the bucket in the host's name. No resolver knows that name: clients reach it through a "proxy",
    /// which is MinIO itself.
    ByHostName,
}

/// A running MinIO. Dropping it kills the process and removes the folder; a test that failed shows what it said.
pub struct Minio {
    folder: TempDir,
    address: SocketAddr,
    reached: Reached,
    access_key: String,
    secret_key: String,
    child: Option<Child>,
}

impl Minio {
    /// Ready, over plain HTTP, with an empty [`BUCKET`].
    pub fn start() -> Minio {
        Minio::reached(Reached::Plainly)
    }

    /// Ready, with an empty [`BUCKET`].
    pub fn reached(reached: Reached) -> Minio {
        let folder = TempDir::new().unwrap();
        if reached == Reached::OverTls {
            write_certificates(folder.path());
        }
        let address = free_address();
        let (access_key, secret_key) = (random_text("tidegate"), random_text("secret"));
        let mut minio = Minio { folder, address, reached, access_key, secret_key, child: None };
        minio.make_bucket(BUCKET);
        minio.start_again();
        minio
    }

    /// A folder of the drive is a bucket.
    pub fn make_bucket(&self, name: &str) {
        fs::create_dir_all(self.folder.path().join("drive").join(name)).unwrap();
    }

    /// What clients are given as the store's URL.
    pub fn endpoint(&self) -> String {
        match self.reached {
            Reached::Plainly => format!("http://{}", self.address),
            Reached::OverTls => format!("https://localhost:{}", self.address.port()),
            Reached::ByHostName => format!("http://{BUCKET}.s3.test:{}", self.address.port()),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// PEM file of the certificate authority; there is one only with [`Reached::OverTls`].
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// A gateway's settings for the store below `prefix` of [`BUCKET`]: dotted names and values.
    pub fn settings(&self, prefix: &str) -> Vec<(String, String)> {
        let mut settings = vec![
            ("storage.url".to_string(), format!("s3://{BUCKET}/{prefix}")),
            ("storage.endpoint".to_string(), self.endpoint()),
        ];
        match self.reached {
            Reached::Plainly => settings.push(("storage.allow_http".to_string(), "true".to_string())),
            Reached::OverTls => settings.push(("storage.ca_file".to_string(), self.authority().display().to_string())),
            Reached::ByHostName => settings.extend([
                ("storage.allow_http".to_string(), "true".to_string()),
                ("storage.virtual_hosted_style".to_string(), "true".to_string()),
            ]),
        }
        settings
    }

    /// The environment that a gateway finds its credentials in.
    pub fn credentials(&self) -> Vec<(String, String)> {
        let mut environment = vec![
            ("AWS_ACCESS_KEY_ID".to_string(), self.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY".to_string(), self.secret_key.clone()),
            ("AWS_REGION".to_string(), "us-east-1".to_string()),
        ];
        environment.extend(self.proxy().map(|proxy| ("AWS_PROXY_URL".to_string(), proxy)));
        environment
    }

    /// [`Minio::settings`] and [`Minio::credentials`] as environment variables alone.
    pub fn environment(&self, prefix: &str) -> Vec<(String, String)> {
        let variable =
            |(name, value): (String, String)| (format!("TIDEGATE__{}", name.to_uppercase().replace('.', "__")), value);
        self.settings(prefix).into_iter().map(variable).chain(self.credentials()).collect()
    }

    /// New temporary credentials: access key, secret key, session token. Plain HTTP only.
    pub fn session(&self) -> (String, String, String) {
        let form = "Action=AssumeRole&Version=2011-06-15&DurationSeconds=900";
        let mut request = ureq::http::Request::post(format!("http://{}/", self.address))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(HttpRequestBody::from(form.to_string()))
            .unwrap();
        let (key_id, secret_key) = (self.access_key.clone(), self.secret_key.clone());
        let credential = AwsCredential { key_id, secret_key, token: None };
        AwsAuthorizer::new(&credential, "sts", "us-east-1").authorize(&mut request, None);
        let (head, _) = request.into_parts();
        let request = ureq::http::Request::from_parts(head, form);
        let answer = ureq::Agent::new_with_defaults().run(request).unwrap().into_body().read_to_string().unwrap();
        let element = |name: &str| {
            let rest = answer.split(&format!("<{name}>")).nth(1).unwrap_or_else(|| panic!("no {name} in {answer}"));
            rest.split('<').next().unwrap_or_default().to_string()
        };
        (element("AccessKeyId"), element("SecretAccessKey"), element("SessionToken"))
    }

    fn proxy(&self) -> Option<String> {
        (self.reached == Reached::ByHostName).then(|| format!("http://{}", self.address))
    }

    /// A client of [`BUCKET`] with the right credentials, which does not wait long for a store that is gone.
    pub fn client(&self) -> AmazonS3 {
        let mut options =
            ClientOptions::new().with_allow_http(true).with_timeout(PATIENCE).with_connect_timeout(PATIENCE);
        if let Some(proxy) = self.proxy() {
            options = options.with_proxy_url(proxy);
        }
        if self.reached == Reached::OverTls {
            options =
                options.with_root_certificate(Certificate::from_pem(&fs::read(self.authority()).unwrap()).unwrap());
        }
        let backoff = BackoffConfig { init_backoff: POLL, max_backoff: POLL, ..BackoffConfig::default() };
        AmazonS3Builder::new()
            .with_bucket_name(BUCKET)
            .with_endpoint(self.endpoint())
            .with_virtual_hosted_style_request(self.reached == Reached::ByHostName)
            .with_access_key_id(&self.access_key)
            .with_secret_access_key(&self.secret_key)
            .with_client_options(options)
            .with_retry(RetryConfig { backoff, max_retries: 3, retry_timeout: PATIENCE })
            .build()
            .unwrap()
    }

    /// [`Minio::client`], below `prefix` as a gateway with [`Minio::settings`] sees it.
    pub fn store(&self, prefix: &str) -> Arc<dyn ObjectStore> {
        let store: Arc<dyn ObjectStore> = Arc::new(self.client());
        if prefix.is_empty() { store } else { Arc::new(object_store::prefix::PrefixStore::new(store, prefix)) }
    }

    /// SIGKILL: connections are refused from now on.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and its end.
    pub fn stop(&mut self) {
        self.signal("TERM");
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
    }

    /// SIGSTOP, and until it holds: connections are taken and never answered.
    pub fn freeze(&self) {
        self.signal("STOP");
        let since = Instant::now();
        while !self.threads_have_stopped() {
            assert!(since.elapsed() < PATIENCE, "MinIO goes on");
            std::thread::sleep(POLL);
        }
    }

    fn threads_have_stopped(&self) -> bool {
        let tasks = format!("/proc/{}/task", self.child.as_ref().expect("MinIO runs").id());
        let mut threads = fs::read_dir(tasks).unwrap().flatten();
        threads.all(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            // The state follows the program's name, which is in brackets.
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
        })
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("MinIO runs");
        let kill = format!("kill -{name} {}", child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Starts it over the same folder and at the same address; returns when it is ready.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "MinIO runs already");
        let folder = self.folder.path();
        let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let mut command = Command::new(program("minio"));
        command
            .args(["server", "--quiet", "--address", &self.address.to_string()])
            .args(["--console-address", &free_address().to_string()])
            .arg("--certs-dir")
            .arg(folder.join("certificates"))
            .arg(folder.join("drive"))
            .env_clear()
            .env("HOME", folder)
            .env("MINIO_ROOT_USER", &self.access_key)
            .env("MINIO_ROOT_PASSWORD", &self.secret_key)
            .env("MINIO_BROWSER", "off")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        if self.reached == Reached::ByHostName {
            command.env("MINIO_DOMAIN", "s3.test");
        }
        self.child = Some(command.spawn().unwrap());
        self.wait_until_ready();
    }

    fn wait_until_ready(&mut self) {
        let since = Instant::now();
        while !self.is_ready() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none(), "MinIO ended with {ended:?}:\n{}", self.log());
            assert!(since.elapsed() < PATIENCE, "MinIO is not ready:\n{}", self.log());
            std::thread::sleep(POLL);
        }
    }

    /// It says that an object is not there, so it knows our credentials and the bucket.
    fn is_ready(&self) -> bool {
        if TcpStream::connect(self.address).is_err() {
            return false;
        }
        let client = self.client();
        // On a thread of its own: the caller's may drive a runtime.
        let asked = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { client.head(&"is-it-ready".into()).await })
        });
        matches!(asked.join().unwrap(), Err(object_store::Error::NotFound { .. }))
    }

    /// What it wrote to standard output and error.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for Minio {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("MinIO's log:\n{}", self.log());
        }
    }
}

/// The path of an object store to test against: `minio`, `gcs` or `azure`. The first call on a machine installs it.
pub fn program(which: &str) -> PathBuf {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/object_store.sh");
    let output = Command::new(tool).arg(which).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{which} could not be installed");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn random_text(start: &str) -> String {
    format!("{start}-{}", uuid::Uuid::new_v4().simple())
}

/// An authority, and a certificate for `localhost` where MinIO looks for it.
fn write_certificates(folder: &Path) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(params, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["localhost".to_string()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let certificates = folder.join("certificates");
    fs::create_dir_all(&certificates).unwrap();
    fs::write(folder.join("authority.pem"), authority.pem()).unwrap();
    fs::write(certificates.join("public.crt"), certificate.pem()).unwrap();
    fs::write(certificates.join("private.key"), key.serialize_pem()).unwrap();
}
