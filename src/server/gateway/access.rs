//! Who gets in: the secrets of the settings, and the administrator that they ask for.

use std::path::Path;

use tracing::{info, warn};
use uuid::Uuid;

use crate::catalog::CatalogError;
use crate::config::{Secret, Settings};
use crate::protocol::Core;
use crate::protocol::auth::Authenticator;

use super::StartError;

pub(super) fn authenticator(settings: &Settings) -> Result<Authenticator, StartError> {
    let auth = &settings.auth;
    let secret = secret("auth.jwt_secret_file", auth.jwt_secret.as_ref(), auth.jwt_secret_file.as_deref())?;
    let mut key = [0; 32];
    key[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    key[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    Ok(Authenticator::new(auth.enabled, secret.as_deref(), key))
}

/// Makes the administrator of the settings, unless there is a user of that name: then nothing about him is changed.
pub(super) async fn make_administrator(settings: &Settings, core: &Core) -> Result<(), StartError> {
    let auth = &settings.auth;
    let Some(name) = auth.admin_user.as_deref().filter(|_| auth.enabled) else { return Ok(()) };
    if let Some(user) = core.catalog.state().user(name) {
        if !user.is_admin {
            warn!(user = name, "the user of auth.admin_user is there already, and is no administrator");
        }
        return Ok(());
    }
    let password =
        secret("auth.admin_password_file", auth.admin_password.as_ref(), auth.admin_password_file.as_deref())?
            .unwrap_or_default();
    let refused = |error: String| StartError::Admin(error);
    let hash = core.auth.hash(&password).await.map_err(|error| refused(error.to_string()))?;
    match core.catalog.create_user(name, hash, true).await {
        Ok(_) => info!(user = name, "administrator made"),
        // By another process, at the same moment.
        Err(CatalogError::UserExists) => {}
        Err(error) => return Err(refused(error.to_string())),
    }
    Ok(())
}

/// A secret that is in the settings, or in a file that they name.
fn secret(setting: &'static str, given: Option<&Secret>, file: Option<&Path>) -> Result<Option<String>, StartError> {
    match (given, file) {
        (Some(secret), _) => Ok(Some(secret.reveal().to_string())),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|source| StartError::Secret { setting, path: path.to_path_buf(), source })?;
            match text.trim() {
                // Anybody could sign with an empty secret.
                "" => {
                    let source = std::io::Error::new(std::io::ErrorKind::InvalidData, "the file is empty");
                    Err(StartError::Secret { setting, path: path.to_path_buf(), source })
                }
                text => Ok(Some(text.to_string())),
            }
        }
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_secret_in_it_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let read = || secret("auth.jwt_secret_file", None, Some(&path));
        for (text, expected) in [(" s\n", Some("s")), ("", None), (" \n", None)] {
            std::fs::write(&path, text).unwrap();
            match (read(), expected) {
                (Ok(found), Some(expected)) => assert_eq!(found.as_deref(), Some(expected)),
                (found, expected) => assert!(found.is_err() && expected.is_none(), "{text:?}"),
            }
        }
    }
}
