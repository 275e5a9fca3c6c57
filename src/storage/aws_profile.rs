//! Credentials out of the files that the AWS command line keeps: `~/.aws/credentials` and `~/.aws/config`.
//!
//! Owns: which files and profile (`AWS_SHARED_CREDENTIALS_FILE`, `AWS_CONFIG_FILE`, `AWS_PROFILE`), their form, and reading
//! them again after they changed, so that rotated keys need no restart. Left out: profiles that lead elsewhere for their
//! keys (roles to assume, single sign-on, programs to run); they are refused by name.
//! Form: <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tracing::{info, warn};

use super::environment::Environment;

/// The profile that is meant when none is named.
const DEFAULT_PROFILE: &str = "default";
/// Files are looked at this often at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What a profile says that has its keys from elsewhere.
const LEADS_ELSEWHERE: [&str; 6] =
    ["role_arn", "sso_session", "sso_start_url", "credential_process", "web_identity_token_file", "login_session"];

/// Why a profile's credentials cannot be had. Texts hold no values of the files.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    #[error("{}: {source}", file.display())]
    File { file: PathBuf, source: io::Error },
    #[error("profile {profile:?} is in none of {}", list(files))]
    Absent { profile: String, files: Vec<PathBuf> },
    #[error("profile {profile:?} has {present} but no {missing}")]
    Half { profile: String, present: &'static str, missing: &'static str },
    #[error(
        "profile {profile:?} takes its keys from {by:?}, which is not supported; use a profile with aws_access_key_id, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    Elsewhere { profile: String, by: &'static str },
}

fn list(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Where a profile is, and its name.
#[derive(Debug, Clone)]
pub struct ProfileSource {
    name: String,
    /// Whether someone named it: then it must be there.
    named: bool,
    credentials_file: PathBuf,
    config_file: PathBuf,
}

/// What a profile says.
#[derive(Default)]
pub struct Profile {
    pub credential: Option<AwsCredential>,
    pub region: Option<String>,
}

impl ProfileSource {
    /// `None` without a home folder and without variables that name files.
    pub fn find(environment: &Environment) -> Option<ProfileSource> {
        let home = environment.get("HOME");
        let file = |variable: &str, name: &str| match (environment.get(variable), home) {
            (Some(file), Some(home)) => match file.strip_prefix("~/") {
                Some(rest) => Some(Path::new(home).join(rest)),
                None => Some(PathBuf::from(file)),
            },
            (Some(file), None) => Some(PathBuf::from(file)),
            (None, Some(home)) => Some(Path::new(home).join(".aws").join(name)),
            (None, None) => None,
        };
        let credentials_file = file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        let config_file = file("AWS_CONFIG_FILE", "config");
        let name = environment.get("AWS_PROFILE").or_else(|| environment.get("AWS_DEFAULT_PROFILE"));
        Some(ProfileSource {
            name: name.unwrap_or(DEFAULT_PROFILE).to_string(),
            named: name.is_some(),
            credentials_file: credentials_file.clone().or_else(|| config_file.clone())?,
            config_file: config_file.or(credentials_file)?,
        })
    }

    /// Reads both files. `None` when there is no such profile and nobody named it. Blocks.
    pub fn read(&self) -> Result<Option<Profile>, ProfileError> {
        let mut found = section(&read_if_there(&self.config_file)?, &self.config_section());
        let keys = section(&read_if_there(&self.credentials_file)?, &self.name);
        match (&mut found, keys) {
            // A key of the credentials file counts more.
            (Some(found), Some(keys)) => found.extend(keys),
            (None, keys) => found = keys,
            (Some(_), None) => {}
        }
        let files = || vec![self.credentials_file.clone(), self.config_file.clone()];
        match found {
            Some(found) => self.profile(found).map(Some),
            None if self.named => Err(ProfileError::Absent { profile: self.name.clone(), files: files() }),
            None => Ok(None),
        }
    }

    fn config_section(&self) -> String {
        match &*self.name {
            DEFAULT_PROFILE => self.name.clone(),
            name => format!("profile {name}"),
        }
    }

    fn profile(&self, mut found: Values) -> Result<Profile, ProfileError> {
        const KEY: &str = "aws_access_key_id";
        const SECRET: &str = "aws_secret_access_key";
        let half = |present, missing| ProfileError::Half { profile: self.name.clone(), present, missing };
        let credential = match (found.remove(KEY), found.remove(SECRET)) {
            (Some(key_id), Some(secret_key)) => {
                Some(AwsCredential { key_id, secret_key, token: found.remove("aws_session_token") })
            }
            (Some(_), None) => return Err(half(KEY, SECRET)),
            (None, Some(_)) => return Err(half(SECRET, KEY)),
            (None, None) => match LEADS_ELSEWHERE.into_iter().find(|by| found.contains_key(*by)) {
                Some(by) => return Err(ProfileError::Elsewhere { profile: self.name.clone(), by }),
                None => None,
            },
        };
        Ok(Profile { credential, region: found.remove("region") })
    }

    /// Tells one content of the files from another.
    fn stamp(&self) -> Stamp {
        [&self.credentials_file, &self.config_file].map(|file| {
            let meta = std::fs::metadata(file).ok()?;
            Some((meta.modified().ok()?, meta.len()))
        })
    }
}

impl fmt::Display for ProfileSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "profile {:?} of {}", self.name, self.credentials_file.display())
    }
}

type Stamp = [Option<(SystemTime, u64)>; 2];
type Values = BTreeMap<String, String>;

fn read_if_there(file: &Path) -> Result<String, ProfileError> {
    match std::fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|source| ProfileError::File { file: file.to_path_buf(), source }),
    }
}

/// The keys and values under `[name]`; `None` when there is no such heading. Lines that are indented belong to the
/// setting above them and are passed over, as are comments and whatever has no `=`.
fn section(text: &str, name: &str) -> Option<Values> {
    let mut found: Option<Values> = None;
    let mut inside = false;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            inside = heading.split_whitespace().eq(name.split_whitespace());
            if inside {
                found.get_or_insert_default();
            }
        } else if inside
            && !line.starts_with(['#', ';', ' ', '\t'])
            && let Some((key, value)) = line.split_once('=')
        {
            let value = value.split(" #").next().unwrap_or(value).split(" ;").next().unwrap_or(value).trim();
            if !value.is_empty() {
                found.get_or_insert_default().insert(key.trim().to_ascii_lowercase(), value.to_string());
            }
        }
    }
    found
}

/// Hands out a profile's credentials, read again when the files changed.
#[derive(Debug)]
pub struct ProfileCredentials {
    source: ProfileSource,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    credential: Arc<AwsCredential>,
    stamp: Stamp,
    looked: Instant,
}

impl ProfileCredentials {
    /// `credential` is what `source` said just now.
    pub fn new(source: ProfileSource, credential: AwsCredential) -> ProfileCredentials {
        let held = Held { credential: Arc::new(credential), stamp: source.stamp(), looked: Instant::now() };
        ProfileCredentials { source, held: Mutex::new(held) }
    }

    /// What cannot be read leaves the credentials as they were: a file may be half written.
    fn look_again(&self, held: &mut Held) {
        held.looked = Instant::now();
        let stamp = self.source.stamp();
        if stamp == held.stamp {
            return;
        }
        held.stamp = stamp;
        match self.source.read() {
            Ok(Some(Profile { credential: Some(credential), .. })) => {
                info!(source = %self.source, "credentials read again");
                held.credential = Arc::new(credential);
            }
            Ok(_) => warn!(source = %self.source, "the profile has no credentials any more; the old ones stay in use"),
            Err(error) => warn!(source = %self.source, %error, "credentials not read again; the old ones stay in use"),
        }
    }
}

#[async_trait]
impl CredentialProvider for ProfileCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        // Two small local files at most once a second: not worth a thread of its own.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.looked.elapsed() >= LOOK_EVERY {
            self.look_again(&mut held);
        }
        Ok(held.credential.clone())
    }
}

#[cfg(test)]
mod tests;
