//! Where S3's credentials come from: the chain that AWS's own tools walk.
//!
//! In this order: `AWS_ACCESS_KEY_ID`, a web identity (`AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`), a profile of the
//! shared files, a container's role (`AWS_CONTAINER_CREDENTIALS_…`), the machine's role.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, AwsCredentialProvider};
use object_store::{CredentialProvider, Error, Result};
use tracing::info;

use super::aws_profile::{Profile, ProfileCredentials, ProfileError, ProfileSource};
use super::environment::Environment;

/// The link of the chain that holds.
#[derive(Debug)]
enum Origin {
    Variables,
    WebIdentity,
    Profile(ProfileSource),
    Container,
    Machine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Variables => f.write_str("AWS_ACCESS_KEY_ID"),
            Origin::WebIdentity => f.write_str("AWS_WEB_IDENTITY_TOKEN_FILE"),
            Origin::Profile(source) => source.fmt(f),
            Origin::Container => f.write_str("the container's role"),
            Origin::Machine => f.write_str("the machine's role"),
        }
    }
}

/// An S3 client that is about to be built, and who gives it its credentials.
pub(super) struct Client {
    origin: Origin,
    pub(super) builder: AmazonS3Builder,
}

impl Client {
    /// Takes what `environment` says; reads profiles' files, so it blocks.
    pub(super) fn configure(environment: &Environment) -> std::result::Result<Client, ProfileError> {
        let mut builder = AmazonS3Builder::new();
        for (key, value) in environment.keys("AWS_") {
            if let Ok(key) = key.parse() {
                builder = builder.with_config(key, value);
            }
        }
        let set = |key: AmazonS3ConfigKey| builder.get_config_value(&key).is_some();
        let variables = set(AmazonS3ConfigKey::AccessKeyId) || set(AmazonS3ConfigKey::SecretAccessKey);
        let web_identity = set(AmazonS3ConfigKey::WebIdentityTokenFile) && set(AmazonS3ConfigKey::RoleArn);
        let container = set(AmazonS3ConfigKey::ContainerCredentialsRelativeUri)
            || set(AmazonS3ConfigKey::ContainerCredentialsFullUri);
        let region = set(AmazonS3ConfigKey::Region) || set(AmazonS3ConfigKey::DefaultRegion);
        let source = ProfileSource::find(environment);
        let keys_needed = !variables && !web_identity;
        let profile = match &source {
            // A profile that nobody needs may be unfit.
            Some(source) if keys_needed => source.read()?,
            Some(source) => source.read().ok().flatten(),
            None => None,
        };
        let Profile { credential, region: profile_region } = profile.unwrap_or_default();
        if let (false, Some(named)) = (region, profile_region) {
            builder = builder.with_region(named);
        }
        let origin = match (source, credential) {
            _ if variables => Origin::Variables,
            _ if web_identity => Origin::WebIdentity,
            (Some(source), Some(credential)) => {
                builder = builder.with_credentials(Arc::new(ProfileCredentials::new(source.clone(), credential)));
                Origin::Profile(source)
            }
            _ if container => Origin::Container,
            _ => Origin::Machine,
        };
        Ok(Client { origin, builder })
    }

    pub(super) fn build(self) -> Result<AmazonS3> {
        info!(from = %self.origin, "credentials of the store");
        let Origin::Machine = self.origin else { return self.builder.build() };
        let inner = self.builder.clone().build()?.credentials().clone();
        self.builder.with_credentials(Arc::new(LastResort { inner })).build()
    }
}

/// The machine's role is asked for when there is nothing else: most machines have none, and what is meant then is that
/// credentials are missing.
#[derive(Debug)]
struct LastResort {
    inner: AwsCredentialProvider,
}

#[async_trait]
impl CredentialProvider for LastResort {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        self.inner.get_credential().await.map_err(|cause| Error::Unauthenticated {
            path: "any object".to_string(),
            source: format!(
                "there are no credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, no profile has any \
                 (AWS_PROFILE, ~/.aws/credentials), and the machine has no role: {cause}"
            )
            .into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_link_that_has_credentials_holds() {
        let home = tempfile::TempDir::new().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::create_dir_all(home.path().join(".aws")).unwrap();
            std::fs::write(home.path().join(".aws").join(name), text).unwrap();
        };
        let check = |variables: &[&str], expected: &str, region: Option<&str>| {
            let all = variables.iter().map(|name| (name.to_string(), "x".to_string()));
            let all = all.chain([("HOME".to_string(), home.path().display().to_string())]);
            let client = Client::configure(&all.collect()).unwrap();
            let origin = client.origin.to_string();
            assert!(origin.starts_with(expected), "{variables:?}: {origin}");
            assert_eq!(client.builder.get_config_value(&AmazonS3ConfigKey::Region).as_deref(), region, "{variables:?}");
        };
        let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        let identity = ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"];
        let container = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
        check(&[], "the machine's role", None);
        check(&[container], "the container's role", None);
        check(&[identity[0], container], "the container's role", None);
        write("config", "[default]\nregion = r\n");
        check(&[], "the machine's role", Some("r"));
        write("credentials", "[default]\naws_access_key_id = k\naws_secret_access_key = s\n");
        check(&[container], "profile \"default\" of /", Some("r"));
        check(&[container, "AWS_REGION"], "profile \"default\" of /", Some("x"));
        check(&[identity[0], identity[1]], "AWS_WEB_IDENTITY_TOKEN_FILE", Some("r"));
        check(&[identity[0], identity[1], keys[0]], "AWS_ACCESS_KEY_ID", Some("r"));
        write("credentials", "[default]\naws_access_key_id = k\n");
        check(&[keys[0], keys[1]], "AWS_ACCESS_KEY_ID", None);
    }
}
