//! Credentials that come with a statement.

use std::fmt;

use crate::storage::open::{Cloud, StoreOptions};

use super::ExchangeError;

/// The variables that say who asks S3; those of a statement replace all of them.
const CREDENTIALS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// What a statement says about how a bucket is reached. Where the bucket is stays the gateway's setting: another endpoint
/// would be another bucket than the one that the fence speaks of.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Connection {
    region: Option<String>,
    access_key_id: Option<String>,
    secret_key: Option<String>,
    token: Option<String>,
    virtual_hosted_style: Option<bool>,
}

/// Names only.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Connection::default() { "Connection" } else { "Connection(***)" })
    }
}

impl Connection {
    /// Takes an option by its name, in any case.
    pub fn set(&mut self, name: &str, value: String) -> Result<(), ExchangeError> {
        let name = name.to_ascii_lowercase();
        let place = match name.as_str() {
            "region" => &mut self.region,
            "access_key_id" => &mut self.access_key_id,
            "secret_key" | "secret_access_key" => &mut self.secret_key,
            "token" | "session_token" => &mut self.token,
            "virtual_hosted_style" => {
                let value = value.to_ascii_lowercase().parse();
                let value = value.map_err(|_| invalid("virtual_hosted_style is true or false"))?;
                self.virtual_hosted_style = Some(value);
                return Ok(());
            }
            "endpoint_url" | "endpoint" => {
                return Err(invalid("the endpoint is that of the gateway's settings, `storage.endpoint`"));
            }
            _ => return Err(ExchangeError::Connection(format!("the option {name:?} is not supported"))),
        };
        *place = Some(value);
        Ok(())
    }

    pub(super) fn check_empty(&self, of: &str) -> Result<(), ExchangeError> {
        if *self == Connection::default() { Ok(()) } else { Err(ExchangeError::Connection(format!("{of} has none"))) }
    }

    /// How a bucket of `cloud` is reached with these.
    pub(super) fn applied_to(&self, options: &StoreOptions, cloud: Cloud) -> Result<StoreOptions, ExchangeError> {
        let mut options = options.clone();
        if cloud != Cloud::S3 {
            self.check_empty("only S3 has options here; another cloud")?;
            return Ok(options);
        }
        match (&self.access_key_id, &self.secret_key, &self.token) {
            (Some(id), Some(secret), token) => {
                let values = [Some(id), Some(secret), token.as_ref()];
                let given =
                    CREDENTIALS.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?.as_str())));
                options.environment = options.environment.replaced(&CREDENTIALS, given);
            }
            (None, None, None) => {}
            _ => return Err(invalid("access_key_id and secret_key come together")),
        }
        if let Some(region) = &self.region {
            options.environment =
                options.environment.replaced(&["AWS_DEFAULT_REGION"], [("AWS_REGION", region.as_str())]);
        }
        if let Some(virtual_hosted_style) = self.virtual_hosted_style {
            options.virtual_hosted_style = virtual_hosted_style;
        }
        Ok(options)
    }

    /// What must not be shown.
    pub(super) fn secrets(&self) -> Vec<String> {
        let all = [&self.access_key_id, &self.secret_key, &self.token];
        all.into_iter().flatten().filter(|secret| !secret.is_empty()).cloned().collect()
    }

    pub(super) fn without_secrets(&self, text: String) -> String {
        without(&self.secrets(), text)
    }
}

/// `text` without `secrets`.
pub(super) fn without(secrets: &[String], text: String) -> String {
    secrets.iter().fold(text, |text, secret| text.replace(secret, "***"))
}

fn invalid(text: &str) -> ExchangeError {
    ExchangeError::Connection(text.to_string())
}
