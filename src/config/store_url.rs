//! The form of `storage.url`: what is a location of a store, and what a relative one means.

use std::path::Path;

use url::Url;

/// `file:relative` becomes `file:///base/relative`; anything else stays as it is.
pub(super) fn resolve(url: &str, base: &Path) -> String {
    let relative = url.strip_prefix("file:").filter(|rest| !rest.is_empty() && !rest.starts_with('/'));
    let resolved = relative.and_then(|rest| Url::from_directory_path(base).ok()?.join(&format!("./{rest}")).ok());
    resolved.map_or_else(|| url.to_string(), String::from)
}

/// Checks a resolved `storage.url`; the error says what was expected instead.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    const FORMS: &str = "a URL: `file:///folder`, `file:./folder`, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` \
         or `memory:///`";
    let url = Url::parse(text).map_err(|_| FORMS)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL without user and password; credentials belong in AWS_*, GOOGLE_* or AZURE_* variables");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a URL without `?` and `#` (write `%3F` and `%23` in names)");
    }
    match url.scheme() {
        "file" if url.has_host() && url.host_str().is_some_and(|host| !host.is_empty()) => Err(
            "three slashes before an absolute folder (`file:///folder`), or none before a relative one (`file:./folder`)",
        ),
        "file" if url.path() == "/" => Err("a folder below `/`"),
        "s3" | "gs" | "az" if url.host_str().is_none_or(str::is_empty) => Err("a bucket after the two slashes"),
        "memory" if !url.path().trim_matches('/').is_empty() || url.host_str().is_some_and(|h| !h.is_empty()) => {
            Err("`memory:///` and nothing after it")
        }
        "file" | "s3" | "gs" | "az" | "memory" => Ok(()),
        _ => Err(FORMS),
    }
}

/// Checks a location of `cnosdb.copy_prefixes`; the error says what was expected instead.
pub(super) fn check_prefix(text: &str) -> Result<(), &'static str> {
    const FORMS: &str =
        "locations such as `file:///folder/`, `s3://bucket/prefix/`, `gs://bucket/prefix/` or `az://container/prefix/`";
    if text.starts_with("memory:") {
        return Err(FORMS);
    }
    check(text).map_err(|expected| if expected.starts_with("a URL: ") { FORMS } else { expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_folder_is_taken_from_the_base() {
        let check = |url, expected| assert_eq!(resolve(url, Path::new("/srv/my data")), expected);
        check("file:./tidegate-data/store", "file:///srv/my%20data/tidegate-data/store");
        check("file:store", "file:///srv/my%20data/store");
        check("file:../store", "file:///srv/store");
        check("file:///abs", "file:///abs");
        check("file:", "file:");
        check("s3://bucket", "s3://bucket");
    }

    #[test]
    fn locations_are_told_from_mistakes() {
        for url in ["file:///data", "s3://bucket", "s3://bucket/a/b", "gs://b/p", "az://c/p", "memory:///"] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        let refused = |url, expected: &str| {
            let reason = check(url).expect_err(url);
            assert!(reason.contains(expected), "{url}: {reason}");
        };
        refused("/var/lib/tidegate", "a URL: `file:///folder`");
        refused("http://bucket", "a URL: `file:///folder`");
        refused("file://data/store", "three slashes");
        refused("file://", "below `/`");
        refused("file:", "below `/`");
        refused("s3:///prefix", "a bucket");
        refused("s3://key:secret@bucket", "without user and password");
        refused("az://container/p?sig=x", "without `?`");
        refused("memory:///x", "nothing after it");
        refused("memory://x", "nothing after it");
        for (prefix, fine) in [("file:///x/", true), ("s3://b/x/", true), ("memory:///", false), ("/x", false)] {
            assert_eq!(check_prefix(prefix).is_ok(), fine, "{prefix}");
        }
    }
}
