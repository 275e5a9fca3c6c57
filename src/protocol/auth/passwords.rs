//! Passwords: hashed with Argon2id, never kept as they are.

use argon2::password_hash::{PasswordHash, SaltString};
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use uuid::Uuid;

/// The hash of a password in the PHC string format, with a salt that no other has. Takes tens of milliseconds and megabytes on
/// purpose, on a thread of its own. `held` is dropped when the work is done, also when nobody waits for it any more.
pub(super) async fn hash_password(password: &str, held: impl Send + 'static) -> Result<String, HashError> {
    let (password, salt) = (password.to_string(), Uuid::new_v4());
    let hash = move || -> Result<String, HashError> {
        let _held = held;
        let salt = SaltString::encode_b64(salt.as_bytes()).map_err(|_| HashError)?;
        let hash = Argon2::default().hash_password(password.as_bytes(), &salt).map_err(|_| HashError)?;
        Ok(hash.to_string())
    };
    tokio::task::spawn_blocking(hash).await.map_err(|_| HashError)?
}

/// Whether `hash` is that of this password. A hash that cannot be read is of none. For `held` see [`hash_password`].
pub(super) async fn verify_password(hash: &str, password: &str, held: impl Send + 'static) -> bool {
    let (hash, password) = (hash.to_string(), password.to_string());
    let verify = move || {
        let _held = held;
        let Ok(hash) = PasswordHash::new(&hash) else { return false };
        Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
    };
    tokio::task::spawn_blocking(verify).await.unwrap_or(false)
}

/// The password could not be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the password cannot be hashed")]
pub struct HashError;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_fits_its_password_only_and_is_no_other_hash() {
        let hash = hash_password("secret", ()).await.unwrap();
        assert!(hash.starts_with("$argon2id$") && !hash.contains("secret"), "{hash}");
        assert!(verify_password(&hash, "secret", ()).await);
        assert!(!verify_password(&hash, "Secret", ()).await);
        assert!(!verify_password("nonsense", "secret", ()).await);
        assert_ne!(hash_password("secret", ()).await.unwrap(), hash);
    }
}
