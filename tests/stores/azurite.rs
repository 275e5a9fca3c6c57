//! Azurite as a process of its own on loopback: Azure's blob store.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential};
use object_store::client::HttpRequestBody;
use tempfile::TempDir;

use crate::minio::program;

pub const CONTAINER: &str = "container";
const ACCOUNT: &str = "tidegate";
const PATIENCE: Duration = Duration::from_secs(60);

/// A running Azurite with an empty [`CONTAINER`]; killed when dropped.
pub struct Azurite {
    address: SocketAddr,
    key: String,
    child: Child,
    folder: TempDir,
}

impl Azurite {
    pub fn start() -> Azurite {
        let folder = TempDir::new().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let random = [uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat();
        let key = base64::engine::general_purpose::STANDARD.encode(random);
        let log = File::create(folder.path().join("log")).unwrap();
        let child = Command::new(program("azure"))
            .args(["--disableTelemetry", "--silent", "--inMemoryPersistence"])
            .args(["--blobHost", "127.0.0.1", "--blobPort", &address.port().to_string()])
            .env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{key}"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let azurite = Azurite { address, key, child, folder };
        let since = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(since.elapsed() < PATIENCE, "Azurite does not listen:\n{}", azurite.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        azurite.make_container();
        azurite
    }

    fn endpoint(&self) -> String {
        format!("http://{}/{ACCOUNT}", self.address)
    }

    /// What a gateway finds its credentials, and the account, in.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT),
            ("AZURE_STORAGE_ACCOUNT_KEY", &self.key),
            ("AZURE_STORAGE_ENDPOINT", &self.endpoint()),
        ]
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .to_vec()
    }

    fn make_container(&self) {
        let url = format!("{}/{CONTAINER}?restype=container", self.endpoint());
        let mut request = ureq::http::Request::put(&url).body(HttpRequestBody::from(Vec::new())).unwrap();
        let credential = AzureCredential::AccessKey(AzureAccessKey::try_new(&self.key).unwrap());
        AzureAuthorizer::new(&credential, ACCOUNT).authorize(&mut request);
        let mut signed = ureq::put(&url);
        for (name, value) in request.headers() {
            signed = signed.header(name, value);
        }
        let made = signed.send_empty();
        assert!(made.is_ok(), "the container was not made: {made:?}\n{}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("Azurite's log:\n{}", self.log());
        }
    }
}
